"""Find the raw files of a schema in a folder."""

import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import pyarrow as pa
from isal import igzip
from isal.igzip_lib import IsalError

from esmm_dist.errors import InputDataError
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.sources import SPLITS, FlatSource
from esmm_dist.storage.uris import COPYING
from preprocess.read.chunks import MAX_LINE_BYTES, Reader, stream_chunks
from preprocess.read.flat_files import matching_files

FileKind = Literal["skeleton", "common", "log"]
Packing = Literal["plain", "gz", "tar.gz", "parquet"]

# isal's stubs call its error class an instance.
_UNREADABLE = (EOFError, OSError, zlib.error, cast(type[Exception], IsalError), tarfile.TarError, pa.ArrowInvalid)
_MOST_NAMES = 10  # of the raw folder, in messages
_ALICCP_KINDS: dict[FileKind, str] = {"skeleton": "sample_skeleton", "common": "common_features"}


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """One table of raw lines."""

    split: str
    kind: FileKind
    index: int
    """Place among the files of the same split and kind."""
    path: Path
    name: str
    """Its path relative to the raw folder, with forward slashes: ``day=1/part-0.csv``."""
    packing: Packing
    member: str = ""
    """Name of the file inside a ``.tar.gz``; empty for the others."""

    @property
    def shown_name(self) -> str:
        """Name in reports and rejects, without the raw folder."""
        return f"{self.name}:{self.member}" if self.member else self.name


def find_inputs(raw: Path, schema: Schema, *, needs_all: bool = True) -> list[InputFile]:
    """List the raw files of all splits that the folder holds.

    Args:
        raw: the folder
        schema: names the files
        needs_all: whether the train split, and each one that the schema names, must be there; False: any one of them

    Raises:
        InputDataError: The folder or a file is missing, stands there in two forms, or is the beginning of a copy.
    """
    if not raw.is_dir():
        raise InputDataError(f"{raw} is not a folder. Give the folder that holds the raw logs.")
    if (raw / COPYING).exists():
        raise InputDataError(f"{raw} is a copy that is not complete. Copy into it again first: esmm copy SOURCE {raw}")
    files = []
    for split in SPLITS:
        of_split = (
            _flat_files(raw, schema.source, split)
            if isinstance(schema.source, FlatSource)
            else (_aliccp_files(raw, split))
        )
        if not of_split and needs_all and _is_wanted(schema, split):
            raise InputDataError(_nothing_found(raw, schema, split))
        files += of_split
    if not files:
        named = [split for split in SPLITS if not isinstance(schema.source, FlatSource) or split in schema.source.files]
        raise InputDataError(_nothing_found(raw, schema, named[0]))
    _refuse_same_file(files)
    if isinstance(schema.source, FlatSource) and schema.source.split is not None:
        return files + [replace(file, split="test") for file in files]  # their rows are in both
    return files


def absent_splits(files: list[InputFile], schema: Schema) -> list[str]:
    """Return the splits that a log should have and has not."""
    return [split for split in SPLITS if _is_wanted(schema, split) and all(file.split != split for file in files)]


def _is_wanted(schema: Schema, split: str) -> bool:
    return split == "train" or (isinstance(schema.source, FlatSource) and split in schema.source.files)


def _refuse_same_file(files: list[InputFile]) -> None:
    """Refuse one file, by whatever name, in both splits or twice in one."""
    first: dict[tuple[int, int, str], InputFile] = {}
    for file in files:
        status = file.path.stat()
        other = first.setdefault((status.st_dev, status.st_ino, file.member), file)
        if other is file:
            continue
        names = f"{file.path}" if other.path == file.path else f"{other.path} and {file.path} are one file, which"
        where = (
            f"in the {other.split} and the {file.split} split" if other.split != file.split else "twice in its split"
        )
        raise InputDataError(
            f"{names} is {where}: its impressions would count twice, and a test on them says nothing. Correct "
            "source.files of the schema, or the folder; source.split cuts a test split out of the train files."
        )


def _nothing_found(raw: Path, schema: Schema, split: str) -> str:
    if isinstance(schema.source, FlatSource) and split not in schema.source.files:
        return (
            f"Schema '{schema.name}' names no files for the train split. Add source.files.train; or, for a log to be "
            "scored by a trained model, give --like DATA and --vocabulary RUN."
        )
    if isinstance(schema.source, FlatSource):
        names = sorted(path.name for path in raw.iterdir())
        more = ", ..." if len(names) > _MOST_NAMES else ""
        return (
            f"{raw} holds no file for the {split} split: schema '{schema.name}' says source.files.{split} = "
            f"{schema.source.files[split]!r}. The folder holds: {', '.join(names[:_MOST_NAMES]) or 'nothing'}{more}. "
            "Correct the schema or the folder."
        )
    return (
        f"{raw} holds no train log in the Ali-CCP form: neither sample_skeleton_train.csv (or .csv.gz) with "
        "common_features_train.csv, nor sample_train.tar.gz. Check the folder, or name a schema with source.form "
        "'flat' for a log of your own."
    )


def _aliccp_files(raw: Path, split: str) -> list[InputFile]:
    found: list[list[InputFile]] = []
    archive = raw / f"sample_{split}.tar.gz"
    if archive.is_file():
        found.append(
            [
                InputFile(
                    split=split,
                    kind=kind,
                    index=0,
                    path=archive,
                    name=archive.name,
                    packing="tar.gz",
                    member=f"{stem}_{split}.csv",
                )
                for kind, stem in _ALICCP_KINDS.items()
            ]
        )
    packings: list[tuple[Packing, str]] = [("plain", ".csv"), ("gz", ".csv.gz")]
    separate = []
    for kind, stem in _ALICCP_KINDS.items():
        forms = [
            InputFile(split=split, kind=kind, index=0, path=raw / name, name=name, packing=packing)
            for packing, name in ((packing, f"{stem}_{split}{ending}") for packing, ending in packings)
            if (raw / name).is_file()
        ]
        if len(forms) > 1:
            raise _two_forms(raw, forms)
        separate += forms
    if separate:
        found.append(separate)
    if len(found) > 1:
        raise _two_forms(raw, [found[0][0], found[1][0]])
    if found and len(found[0]) == 1:
        there = found[0][0]
        missing = "common_features" if there.kind == "skeleton" else "sample_skeleton"
        raise InputDataError(
            f"{raw} holds {there.path.name} but no {missing}_{split}.csv. Both files of a split are needed; "
            "get the missing one, or move this one away to go without the split."
        )
    return found[0] if found else []


def _two_forms(raw: Path, forms: list[InputFile]) -> InputDataError:
    names = " and ".join(form.path.name for form in forms)
    return InputDataError(f"{raw} holds {names}: the same log in two forms. Move one of them away.")


def _flat_files(raw: Path, source: FlatSource, split: str) -> list[InputFile]:
    pattern = source.files.get(split)
    if pattern is None:
        return []
    paths = matching_files(raw, pattern)
    return [
        InputFile(
            split=split,
            kind="log",
            index=i,
            path=path,
            name=Path(os.path.relpath(path, raw)).as_posix(),
            packing=_flat_packing(path),
        )
        for i, path in enumerate(paths)
    ]


def _flat_packing(path: Path) -> Packing:
    if path.name.endswith(".parquet"):
        return "parquet"
    if path.name.endswith((".csv", ".tsv")):
        return "plain"
    if path.name.endswith((".csv.gz", ".tsv.gz")):
        return "gz"
    raise InputDataError(f"{path} ends in none of .csv, .csv.gz, .tsv, .tsv.gz, .parquet. Rename it to say what it is.")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the libraries raise on unreadable or damaged files into an ``InputDataError`` that names the file."""
    try:
        yield
    except _UNREADABLE as e:
        raise InputDataError(
            f"{path} cannot be read ({e or type(e).__name__}). It may be cut off or damaged; fetch it again."
        ) from e


def first_line(path: Path) -> bytes:
    """Return the first line of a plain file; what is longer than a line may be is cut off.

    Raises:
        InputDataError: The file cannot be read.
    """
    with reading(path), path.open("rb") as file:
        return file.readline(MAX_LINE_BYTES)


def stream_texts(files: list[InputFile], chunk_bytes: int) -> Iterator[tuple[InputFile, int, bytes]]:
    """Read compressed files one after the other, each once, and yield (file, chunk number, text of the chunk).

    Args:
        files: Files of packing ``gz`` or ``tar.gz``; members of one archive come in the archive's order.
        chunk_bytes: Bytes of text in a chunk.

    Raises:
        InputDataError: A file is damaged, or an archive lacks a member.
    """
    for path in dict.fromkeys(file.path for file in files):
        of_path = [file for file in files if file.path == path]
        with reading(path), igzip.IGzipFile(path, "rb") as stream:  # type: ignore[no-untyped-call]
            opened = [(of_path[0], stream)] if of_path[0].packing == "gz" else _members(path, stream, of_path)
            for file, content in opened:
                for chunk, text in enumerate(stream_chunks(content, file.shown_name, chunk_bytes)):
                    yield file, chunk, text


def _members(path: Path, stream: Any, files: list[InputFile]) -> Iterator[tuple[InputFile, Reader]]:
    wanted = {file.member: file for file in files}
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            file = wanted.pop(Path(member.name).name, None)
            content = archive.extractfile(member) if file is not None else None
            if file is not None and content is not None:
                yield file, content
    if wanted:
        raise InputDataError(f"{path} lacks {' and '.join(sorted(wanted))}. Fetch the archive again.")
