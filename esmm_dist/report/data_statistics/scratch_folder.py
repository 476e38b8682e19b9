"""A folder for the length of some work, which is removed whatever ends the work: at once, or by the next such work."""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "esmm-stats-"
_LOCK = "in-use"
_YOUNG_S = 3600.0
"""A folder without a lock is left alone so long: who has made it may be about to lock it."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty folder below ``TMPDIR`` (or ``/tmp``), and remove it afterwards.

    It is locked meanwhile. A folder that nobody locks any more is that of a killed process, and is removed here.

    Raises:
        OSError: There is no folder for temporary files, or it is full.
    """
    _remove_left(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        with (folder / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            work = folder / "work"
            work.mkdir()
            yield work
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left(parent: Path) -> None:
    """Remove the folders of processes that were killed; those of other users stay."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if _is_left(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("rb+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return time.time() - folder.stat().st_mtime > _YOUNG_S
