"""Find the files of a raw log that is scored: a file, a pattern, or a folder, on a disk or in an object store.

Files are read where they are. What a folder holds is found as ``preprocess`` finds it; see ``find_raw_files``.
"""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from isal import igzip

from esmm_dist.errors import EsmmError, InputDataError
from esmm_dist.schema.fields import Schema
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.location import Location
from esmm_dist.storage.uris import COLLAPSED_URI, COPYING
from preprocess.read.file_forms import Packing, packing_of
from preprocess.read.file_patterns import check_finished, is_bookkeeping, matching_files, natural_order
from preprocess.read.input_texts import reading

_MOST_NAMES = 10  # of a folder, in messages
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, kw_only=True)
class ScoredFile:
    """One file of rows."""

    folder: Folder
    name: str
    """Its plain name in the folder."""
    shown_name: str
    """Its path within what was asked for, with forward slashes; its name alone if a file was."""
    packing: Packing

    @property
    def path(self) -> Path:
        """What messages call it."""
        return Path(f"{self.folder}/{self.name}")

    @contextmanager
    def opened(self) -> Iterator[pa.NativeFile]:
        """Open its bytes; what is wrong with them within the block is an ``InputDataError`` that names it."""
        with reading(self.path), self.folder.open_input(self.name) as stream:
            yield stream

    @contextmanager
    def opened_text(self) -> Iterator[Any]:
        """Open its text, inflated: a stream with ``read``."""
        with self.opened() as stream:
            if self.packing != "gz":
                yield stream
                return
            with igzip.IGzipFile(fileobj=stream, mode="rb") as text:  # type: ignore[no-untyped-call]
                yield text

    def size(self) -> int:
        """Return its bytes."""
        return self.folder.size(self.name)


@contextmanager
def uris_named() -> Iterator[None]:
    """Give the URIs in the message of an error within the block the slash back that a path takes from them."""
    try:
        yield
    except EsmmError as e:
        e.args = (COLLAPSED_URI.sub(lambda found: found[0].replace(":/", "://"), str(e)), *e.args[1:])
        raise


def find_raw_files(raw: str, schema: Schema, split: str) -> list[ScoredFile]:
    """List the files of a raw log in ``natural_order``, the order in which their rows are numbered and scored.

    Args:
        raw: path or URI of a file, a pattern (``logs/*.csv``; in a store ``*`` and ``[...]``), or a folder. Of a folder
            the files of ``split`` that the schema names, if there are any; else of all splits that it names; else all
            files, if the folder is one of parts
        schema: schema of a flat log
        split: preferred split

    Raises:
        InputDataError: Nothing is there, or a file's name does not say what it holds.
        StorageError: A store cannot be reached.
    """
    location = Location.parse(raw)
    patterns = _patterns(schema, split)
    found = _local(Path(location.path), patterns) if location.is_local else _stored(location, patterns)
    if not found:
        raise _nothing(location, schema)
    return found


def _patterns(schema: Schema, split: str) -> list[list[str]]:
    """Return the patterns of a folder's files, those to try first in front."""
    files = schema.flat_source.files if schema.flat_source is not None else {}
    return [[files[split]], list(files.values())] if split in files else [list(files.values())]


def _local(path: Path, patterns: Sequence[Sequence[str]]) -> list[ScoredFile]:
    if path.is_dir():
        if (path / COPYING).exists():
            raise InputDataError(f"{path} is an incomplete copy. Finish it first: esmm copy SOURCE {path}")
        for some in patterns:
            found = {each for pattern in some for each in matching_files(path, pattern)}
            if found:
                return _local_files(path, found)
        return _local_files(path, matching_files(path.absolute().parent, glob.escape(path.absolute().name)))
    if path.exists():
        return _local_files(path.parent, [path])
    parts = path.parts
    fixed = next((place for place, part in enumerate(parts) if _GLOB.search(part)), len(parts))
    base = Path(*parts[:fixed])
    return _local_files(base, matching_files(base, str(Path(*parts[fixed:])))) if fixed < len(parts) else []


def _local_files(base: Path, paths: Sequence[Path] | set[Path]) -> list[ScoredFile]:
    return [
        ScoredFile(
            folder=Folder.open(path.parent),
            name=path.name,
            shown_name=Path(os.path.relpath(path, base)).as_posix(),
            packing=packing_of(path),
        )
        for path in sorted(paths, key=natural_order)
    ]


def _stored(location: Location, patterns: Sequence[Sequence[str]]) -> list[ScoredFile]:
    base, named = Folder.open(location), location.path.split("/")
    fixed = next((place for place, part in enumerate(named) if _GLOB.search(part)), len(named))
    above = base.parent
    if fixed == len(named) and above is not None and above.has(base.name):
        return _stored_files(above, [base.name])
    for _ in named[fixed:]:
        above = base.parent
        assert above is not None  # a bucket is no pattern
        base = above
    there = list(base.tree())
    if COPYING in there:
        raise InputDataError(f"{base} is an incomplete copy. Finish it first: esmm copy SOURCE {base}")
    if named[fixed:]:
        return _stored_files(base, _matching(base, there, ["/".join(named[fixed:])]))
    for some in patterns:
        found = _matching(base, there, some)
        if found:
            return _stored_files(base, found)
    return _stored_files(base, _matching(base, there, ["**"]))


def _matching(base: Folder, paths: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the paths that patterns name, or that lie in a folder that they name, as ``matching_files`` does."""
    forms = [re.compile(_expression(pattern)) for pattern in patterns]
    found = []
    for path in paths:
        if any(form.fullmatch(path) for form in forms) and not is_bookkeeping(path.rpartition("/")[2]):
            check_finished(base, path.split("/")[:-1])
            found.append(path)
    return sorted(found, key=lambda path: natural_order(Path(path)))


def _expression(pattern: str) -> str:
    """Return the regular expression of a pattern of paths, which also matches what lies below a match."""
    *folders, last = pattern.split("/")
    inner = ["(?:[^/]+/)*" if part == "**" else f"{_segment(part)}/" for part in folders]
    return "".join(inner) + (".*" if last == "**" else _segment(last)) + "(?:/.+)?"


def _segment(part: str) -> str:
    def expression(found: re.Match[str]) -> str:
        token = found[0]
        if token in ("*", "?"):
            return "[^/]*" if token == "*" else "[^/]"
        return token.replace("[!", "[^") if len(token) > 1 else re.escape(token)

    return re.sub(r"\[[^\]]+\]|.", expression, part)


def _stored_files(base: Folder, paths: Sequence[str]) -> list[ScoredFile]:
    files = []
    for path in paths:
        *folders, name = path.split("/")
        folder = base
        for each in folders:
            folder = folder / each
        files.append(ScoredFile(folder=folder, name=name, shown_name=path, packing=packing_of(Path(path))))
    return files


def _nothing(location: Location, schema: Schema) -> InputDataError:
    names = [] if _GLOB.search(location.path) else Folder.open(location).names()
    if not names:
        shown = str(location).replace("%2A", "*")
        return InputDataError(f"raw is {shown}, and no file is there. Give a file, a pattern in quotes, or a folder.")
    more = ", ..." if len(names) > _MOST_NAMES else ""
    patterns = schema.flat_source.files.values() if schema.flat_source is not None else ()
    return InputDataError(
        f"{location} holds no file of schema '{schema.name}', which names {', '.join(patterns)}. The folder holds: "
        f"{', '.join(names[:_MOST_NAMES])}{more}. Name the files: --raw '{location}/*.csv'"
    )
