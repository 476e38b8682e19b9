"""The kept lines of a run's processes: those that are there, and new ones as they come."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from esmm_dist.errors import ConfigError
from esmm_dist.storage.folder import Folder
from launcher.run_files.log_files import FOLDER_NAME, OWN_NAME, log_path, older
from launcher.run_files.run_status import EVENTS_NAME, RunStatus

POLL_S = 0.2


def find_log(run: Folder, which: str | None, status: RunStatus | None) -> Path:
    """Return the log file of a process.

    Args:
        run: folder of the run
        which: ``driver``, ``worker-0``, ``server-1``, ``rank-0``; ``local`` is ``esmm local`` itself. None: the process
            that tells most
        status: newest status of an elastic run, which says who has a rank; None: rank N is worker N

    Raises:
        ConfigError: The run has no logs, or no such process.
    """
    if not run.is_local:
        raise ConfigError(
            f"{run} has no logs: esmm local keeps them in runs on a local disk only, since files in an object store "
            f"cannot grow. {run}/{EVENTS_NAME} has what happened."
        )
    folder = run.local_path / FOLDER_NAME
    names = sorted(path.stem for path in folder.glob("*.log"))
    if not names:
        raise ConfigError(f"{run} has no {FOLDER_NAME}/: no esmm local has trained there yet.")
    if which is None:
        which = next((name for name in ("driver", "worker-0", OWN_NAME) if name in names), names[0])
    elif which.startswith("rank-"):
        which = _worker_of_rank(which.removeprefix("rank-"), status)
    if which not in names:
        raise ConfigError(f"{run} has no log of '{which}'. Its logs: {', '.join(names)}.")
    return log_path(folder, which)


def read_lines(path: Path, *, tail: int | None = None) -> Iterator[str]:
    """Yield the kept lines of a log file, oldest first.

    Args:
        path: the file; older lines are in the file beside it
        tail: number of last lines to yield. None: all
    """
    lines, _ = _kept_lines(path, tail)
    yield from lines


def follow_lines(path: Path, is_running: Callable[[], bool], *, tail: int | None = None) -> Iterator[str]:
    """Yield the kept lines of a log file, then new ones as they come, until the run has ended.

    A file that was begun anew is read from its beginning.

    Args:
        path: the file
        is_running: whether the run goes on
        tail: number of last lines to begin with. None: all that are kept
    """
    lines, position = _kept_lines(path, tail, whole=True)
    yield from lines
    file, rest = path.open("rb"), b""
    try:
        file.seek(position)
        while True:
            running = is_running()  # before reading: what is written until its end is read
            *new, rest = (rest + file.read()).split(b"\n")
            yield from map(_text, new)
            if path.exists() and path.stat().st_ino != os.fstat(file.fileno()).st_ino:
                file.close()
                file = path.open("rb")
            elif not running:
                return
            elif not new:
                time.sleep(POLL_S)
    finally:
        file.close()


def _kept_lines(path: Path, tail: int | None, *, whole: bool = False) -> tuple[list[str], int]:
    """Return lines and the position after them in the file; ``whole``: without half a line at its end."""
    before = older(path).read_bytes() if older(path).exists() else b""
    now = path.read_bytes()
    if whole:
        now = now[: now.rfind(b"\n") + 1]
    return list(map(_text, deque((before + now).splitlines(), maxlen=tail))), len(now)


def _worker_of_rank(rank: str, status: RunStatus | None) -> str:
    workers = status.workers if status is not None else ()
    return next((each.name for each in workers if str(each.rank) == rank), f"worker-{rank}")


def _text(line: bytes) -> str:
    return line.decode(errors="replace")
