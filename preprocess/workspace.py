"""The folder ``OUT/.work``: what a run has done so far, so that it can continue after a kill.

Every piece of work (a task) has a name and leaves ``done/NAME.json`` with its result, renamed into place after its
files were. A task whose result is there is not done again. The pieces are the same for any number of workers, so a
run continues with any. ``run.json`` says for which inputs and settings; for others the folder is emptied.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.progress import Progress
from esmm_dist.schema.manifest import MANIFEST_NAME

WORK_NAME = ".work"
PRODUCTS = ("train", "test", "rejects", "vocabulary.parquet", "known_ids.parquet")
"""What a finished run moves into the data set's folder, beside the manifest."""
_RUN_NAME = "run.json"
_LOCK_NAME = "lock"


@contextmanager
def open_workspace(out: Path, identity: Mapping[str, Any], progress: Progress) -> Iterator[Path]:
    """Prepare ``out/.work`` for a run and hold its lock; what another run left is kept only if it was the same run.

    Args:
        out: The data set's folder; made if it is not there.
        identity: All that decides the work: inputs, settings, plan. Plain JSON values.
        progress: Told whether the run continues or starts anew.

    Raises:
        ConfigError: The folder holds other files, or another run is at work in it.
    """
    work = out / WORK_NAME
    if out.is_dir() and not work.is_dir() and any(out.iterdir()):
        raise ConfigError(
            f"{out} holds files but no data set ({MANIFEST_NAME}) and no begun run. Give a new or an empty folder."
        )
    work.mkdir(parents=True, exist_ok=True)
    with (work / _LOCK_NAME).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise ConfigError(f"Another esmm preprocess is at work in {out}. Wait for it or end it.") from e
        _begin_or_continue(work, identity, progress)
        yield work


def _begin_or_continue(work: Path, identity: Mapping[str, Any], progress: Progress) -> None:
    run = work / _RUN_NAME
    text = json.dumps(identity, indent=1, sort_keys=True)
    if run.is_file():
        if run.read_text(encoding="utf-8") == text:
            progress.message("Continuing the run that was begun here.")
            return
        progress.message("The run that was begun here had other inputs or settings: starting anew.")
    for path in work.iterdir():
        if path.name != _LOCK_NAME:
            remove(path)
    for name in PRODUCTS:  # moved out by a run that was killed just before its manifest
        remove(work.parent / name)
    write_text(run, text)


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name and rename it, so that it is there in full or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
