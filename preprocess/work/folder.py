"""The folder ``OUT/.work``: what a run has done so far, so that it can continue after a kill.

Every piece of work (a task) has a name and leaves ``done/NAME.json`` with its result, renamed into place after its
files were. A task whose result is there is not done again. The pieces are the same for any number of workers, so a
run continues with any. ``run.json`` says for which inputs and settings; for others the folder is emptied. What a
power failure leaves: see ``power_failure``.
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
from esmm_dist.schema.sources import SPLITS
from esmm_dist.storage.whole_file import make_folder_durable, write_durable
from preprocess.work.power_failure import drop_unsynced, note_boot, same_boot

WORK_NAME = ".work"
PRODUCTS = (*SPLITS, "rejects", "vocabulary.parquet", "rare_ids.parquet", "known_ids.parquet")
"""What a finished run moves into the data set's folder, beside the manifest."""
FINAL_FOLDER = "final"
"""Folder within ``.work`` with the finished files of the data set."""
_RUN_NAME = "run.json"
_LOCK_NAME = "lock"


@contextmanager
def open_workspace(out: Path, identity: Mapping[str, Any], progress: Progress) -> Iterator[Path]:
    """Prepare ``out/.work`` for a run and hold its lock; what another run left is kept only if it was the same run.

    The files of a finished data set stay until the run publishes its own.

    Args:
        out: folder of the data set; made if it is not there
        identity: all that decides the work (inputs, settings, plan) as plain JSON values
        progress: receives whether the run continues or starts from the beginning

    Raises:
        ConfigError: The folder holds other files, or another run is at work in it.
    """
    work = out / WORK_NAME
    finished = (out / MANIFEST_NAME).is_file()
    if out.is_dir() and not work.is_dir() and not finished and any(out.iterdir()):
        raise ConfigError(
            f"{out} holds files, but neither a data set ({MANIFEST_NAME}) nor an unfinished run. Give a new or an "
            "empty folder."
        )
    make_folder_durable(work)
    with (work / _LOCK_NAME).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise ConfigError(f"Another esmm preprocess is running in {out}. Wait for it, or stop it.") from e
        _begin_or_continue(work, identity, progress, keep_products=finished)
        yield work


def _begin_or_continue(work: Path, identity: Mapping[str, Any], progress: Progress, *, keep_products: bool) -> None:
    run = work / _RUN_NAME
    text = json.dumps(identity, indent=1, sort_keys=True).encode()
    if run.is_file():
        if run.read_bytes() != text:
            progress.message(
                "The unfinished run in this folder had other inputs or settings: starting from the beginning."
            )
        elif same_boot(work):
            progress.message("Continuing the unfinished run.")
            return
        # A manifest in .work was written when all that it lists was on the disk
        elif (work / MANIFEST_NAME).is_file() or drop_unsynced(work):
            progress.message("Continuing the unfinished run; work that may not have reached the disk is repeated.")
            note_boot(work)
            return
        else:
            progress.message("The machine has restarted since the unfinished run began: starting from the beginning.")
    for path in work.iterdir():
        if path.name != _LOCK_NAME:
            remove(path)
    for name in () if keep_products else PRODUCTS:  # moved out by a run that was killed just before its manifest
        remove(work.parent / name)
    note_boot(work)
    write_durable(run, text)


def close_workspace(work: Path) -> None:
    """Remove the folder of a run that is done, such that, killed in between, nobody goes on with the rest of it."""
    (work / _RUN_NAME).unlink(missing_ok=True)
    shutil.rmtree(work, ignore_errors=True)


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield a temporary name to write a file to, which is renamed after the block: it is there in full or not at all.

    Not synced: see ``power_failure``.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    yield temporary
    temporary.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a text file as ``replaced`` does."""
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
