"""Work on copies of what lies in an object store, where the work reads and writes files.

What it reads is copied before it begins; what it wrote is copied to the store after it succeeded. The copies lie in a
temporary folder that is removed with the work, or in the folder that ``ESMM_SCRATCH`` names. There they stay:
interrupted work (``esmm preprocess``) continues, and the next work on the same data copies nothing.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esmm_dist.errors import ConfigError, EsmmError, StorageError
from esmm_dist.progress import Progress
from esmm_dist.storage.copy import CopyOptions, copy_file, copy_tree
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.stored_place import StoredPlace
from esmm_dist.storage.uris import COPYING, FILES_ELSEWHERE, without_credentials

SCRATCH = "ESMM_SCRATCH"
"""Environment variable: folder for local copies of what lies in object stores."""


@dataclass(frozen=True, kw_only=True)
class LocalCopies:
    """Copies of places in object stores."""

    paths: Mapping[str, Path]
    """Where the copy of each setting's place is."""
    shown: Mapping[str, str]
    """For the path of each copy the place that the user named."""
    progress: Progress
    """Passes progress on, with the places that the user named instead of the copies' paths."""

    def with_places(self, value: Any) -> Any:
        """Return a report with the places that the user named instead of the copies' paths."""
        return _with_places(value, self.shown)


@contextmanager
def on_copies(
    task: str, stored: Mapping[str, StoredPlace], uris: Mapping[str, str], progress: Progress, *, ranks: int = 1
) -> Iterator[LocalCopies]:
    """Copy what a task reads, and at the end of the ``with`` block what it has written; after an error nothing.

    Args:
        task: name of the task, such as ``evaluate``
        stored: its settings that may name places in object stores
        uris: those that do
        progress: receives the copies' progress
        ranks: processes that do the task together

    Raises:
        ConfigError: The setting cannot name a place in an object store, or the place holds something else.
        StorageError: A store cannot be read or written.
        EsmmError: Whatever the block raises, with the places that the user named.
    """
    _check(task, stored, uris, ranks)
    with ExitStack() as stack:
        copies: dict[str, Path] = {}
        for name, uri in uris.items():
            place, folder = stored[name], Folder.open(uri)
            copies[name] = stack.enter_context(_scratch(uri)) / folder.name
            if place.use == "read":
                work = f"copy {name} from {folder}"
                copy_tree(folder, Folder.open(copies[name]), progress, task=work, options=CopyOptions(exact=True))
            else:
                _check_target(name, place, folder, copies[name], progress)
        shown = {str(copies[name]): str(Folder.open(uri)) for name, uri in uris.items()}
        try:
            yield LocalCopies(paths=copies, shown=shown, progress=_ShowsPlaces(progress, shown))
        except EsmmError as e:
            e.args = (_with_places(str(e), shown), *e.args[1:])
            raise
        for name, uri in uris.items():
            if stored[name].use == "write":
                _put(name, stored[name], copies[name], Folder.open(uri), progress)


class _ShowsPlaces:
    """Passes progress on, with the places that the user named instead of the copies' paths."""

    def __init__(self, progress: Progress, shown: Mapping[str, str]) -> None:
        self._progress, self._shown = progress, shown

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        self._progress.start(_with_places(task, self._shown), total, unit, done)

    def advance(self, amount: float, note: str = "") -> None:
        self._progress.advance(amount, note)

    def message(self, text: str) -> None:
        self._progress.message(_with_places(text, self._shown))

    def finish(self) -> None:
        self._progress.finish()


def _with_places(value: Any, shown: Mapping[str, str]) -> Any:
    """Return a report with the places that the user named instead of the copies' paths."""
    if isinstance(value, Mapping):
        return {key: _with_places(each, shown) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_places(each, shown) for each in value]
    if not isinstance(value, (str, Path)):
        return value
    text = str(value)
    for path, place in shown.items():
        text = text.replace(path, place)
    return text


def _check(task: str, stored: Mapping[str, StoredPlace], uris: Mapping[str, str], ranks: int) -> None:
    for name, uri in uris.items():
        shown = str(Folder.open(uri))
        if name not in stored:
            raise ConfigError(
                f"{name} is {shown}, but esmm {task} needs a local path there. Copy it first: esmm copy {shown} FOLDER"
            )
        if stored[name].kind == "file" and Folder.open(uri).parent is None:
            raise ConfigError(f"{name} is {shown}. Give the URI of a file in it.")
    if uris and ranks > 1:
        name, uri = next(iter(uris.items()))
        shown = str(Folder.open(uri))
        raise ConfigError(
            f"{name} is {shown}, which each of {ranks} processes would copy. Copy it first: esmm copy {shown} FOLDER"
        )


@contextmanager
def _scratch(uri: str) -> Iterator[Path]:
    """Make the folder for the copy of a place, and lock it."""
    chosen = os.environ.get(SCRATCH)
    if not chosen:
        with tempfile.TemporaryDirectory(prefix="esmm-copy-") as temporary:
            yield Path(temporary)
        return
    digest = hashlib.sha256(str(without_credentials(uri)).encode()).hexdigest()[:16]
    folder = Path(chosen) / f"esmm-{digest}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("wb")
    except OSError as e:
        raise StorageError(
            f"{SCRATCH} is {chosen}, which is not writable: {e.strerror}. Set it to another folder, or unset it."
        ) from e
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise ConfigError(
                f"Another command is using the copy of {Folder.open(uri)} in {folder}. Wait until it has ended, or set "
                f"{SCRATCH} to another folder."
            ) from e
        yield folder


def _check_target(name: str, place: StoredPlace, target: Folder, local: Path, progress: Progress) -> None:
    """Check, before the work starts, that its result may be written to a place."""
    if place.kind == "file":
        return
    there = target.names()
    if not there or COPYING in there:  # nothing, or what an interrupted copy has left
        return
    if place.told_by not in there:
        raise ConfigError(f"{name} is {target}, which holds files already. Give a new place, or remove the files.")
    assert place.told_by is not None
    # Always: an older one in scratch may list files that the store no longer has
    copy_file(target, place.told_by, Folder.open(local), place.told_by, progress)
    if place.damage is None:
        return
    problem = place.damage(local, {path: file.size for path, file in target.tree().items()})
    if problem is None:
        (local / FILES_ELSEWHERE).write_bytes(b"")
    else:
        progress.message(f"{target}: {problem}.")


def _put(name: str, place: StoredPlace, local: Path, target: Folder, progress: Progress) -> None:
    if place.kind == "file":
        above = target.parent
        assert above is not None
        copy_file(Folder.open(local.parent), local.name, above, target.name, progress)
        local.unlink()
        return
    (local / FILES_ELSEWHERE).unlink(missing_ok=True)
    made = Folder.open(local)
    if set(made.tree()) == {place.told_by}:  # the command found its result there and did nothing
        return
    copy_tree(made, target, progress, task=f"copy {name} to {target}", options=CopyOptions(again=True))
    shutil.rmtree(local)
