"""What an ``esmm local`` that trains leaves in its run: its command line, a lock, and the file that asks it to stop.

::

    RUN/local.json    {"command": ["local", ...], "folder": where it was started, "pid": ..., "host": ..., ...}
    RUN/.local.lock   locked while it runs, on a local disk only
    RUN/stop.json     {"id": ...}: a new id asks it to stop, as Ctrl-C does
    RUN/logs/         see log_files.py
"""

import contextlib
import fcntl
import itertools
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import IO

from esmm_dist.config import build
from esmm_dist.errors import ConfigError, EsmmError, StorageError
from esmm_dist.process.retry import retry
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials

RECORD_NAME = "local.json"
LOCK_NAME = ".local.lock"
STOP_NAME = "stop.json"

POLL_S, POLL_REMOTE_S = 0.5, 3.0
"""Seconds between two reads of a request, on a local disk and in an object store."""


@dataclass(frozen=True, kw_only=True)
class LocalRecord:
    """How a run was started on this machine."""

    command: tuple[str, ...]
    """The words after ``esmm``."""
    folder: str
    """Folder in which it was started: paths of the command may be relative."""
    pid: int
    host: str
    started_at: float
    """Seconds since 1970."""

    def __post_init__(self) -> None:
        if self.command[:1] != ("local",):
            raise ValueError(f"command is {list(self.command)}, which does not begin with local.")

    @property
    def of_this_machine(self) -> bool:
        """Whether it was started on this machine."""
        return self.host == os.uname().nodename


def _record(command: Sequence[str]) -> LocalRecord:
    # As in config.yaml, credentials of a URI stay out: a resumed run takes them from the environment
    words = tuple(str(without_credentials(word)) for word in command)
    return LocalRecord(
        command=words, folder=os.getcwd(), pid=os.getpid(), host=os.uname().nodename, started_at=time.time()
    )


@contextlib.contextmanager
def recorded(run: Folder, command: Sequence[str]) -> Iterator[None]:
    """Write the record of a training, and hold its lock for the block.

    A line that is refused because a setting in it is wrong gives way to the one before: ``esmm resume`` would give it
    again, and be refused again.

    Args:
        run: folder of the run
        command: words after ``esmm``

    Raises:
        ConfigError: Another ``esmm local`` trains in this run.
        StorageError: The storage refuses.
    """
    run.make()
    with contextlib.ExitStack() as stack:
        if run.is_local:
            lock = stack.enter_context((run.local_path / LOCK_NAME).open("ab"))
            _take(lock, run)
        before = run.read_bytes(RECORD_NAME) if run.has(RECORD_NAME) else None
        run.write_bytes(RECORD_NAME, json.dumps(asdict(_record(command))).encode() + b"\n")
        try:
            yield
        except EsmmError as e:
            if before is not None and e.exit_status == ConfigError.exit_status:
                run.write_bytes(RECORD_NAME, before)
            raise


def _take(lock: IO[bytes], run: Folder) -> None:
    def lock_now() -> None:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    try:  # a process that checks the lock holds it for a moment
        retry(lock_now, BlockingIOError, itertools.repeat(0.05), within_s=1.0)
    except BlockingIOError as e:
        raise ConfigError(
            f"Another esmm local trains in {run}. Wait for it, stop it (esmm cancel {run}), or give another --run."
        ) from e


def read_record(run: Folder) -> LocalRecord | None:
    """Return how ``esmm local`` started a run; None if it did not.

    Raises:
        ConfigError: The record is damaged.
        StorageError: The storage refuses.
    """
    try:
        found = json.loads(run.read_bytes(RECORD_NAME))
        return build(LocalRecord, found, where=f"{run}/{RECORD_NAME}")
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError) as e:
        raise ConfigError(f"{run}/{RECORD_NAME} is damaged ({e}). Start the run with its esmm local command.") from e


def is_held(run: Folder, lock_name: str = LOCK_NAME) -> bool:
    """Return whether a process holds a lock in a run on a local disk; by default the lock of ``esmm local``."""
    try:
        with (run.local_path / lock_name).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def request_stop(run: Folder) -> None:
    """Ask the ``esmm local`` that trains in a run to have all workers save and end.

    Raises:
        StorageError: The storage refuses.
    """
    run.write_bytes(STOP_NAME, json.dumps({"id": secrets.token_hex(8)}).encode() + b"\n")


class StopRequests:
    """Says whether somebody has asked for a stop since this object was made; reads the file only now and then.

    Args:
        run: folder of the run; a request that it holds already is taken for one to an earlier start
        clock: returns the time in seconds
    """

    def __init__(self, run: Folder, clock: Callable[[], float] = time.monotonic) -> None:
        self._run, self._clock = run, clock
        self._pause_s = POLL_S if run.is_local else POLL_REMOTE_S
        self._read_at = clock()
        self._before = self._read()

    def pending(self) -> bool:
        """Return whether a stop is asked for; False also while the file was read a moment ago, or cannot be read."""
        if self._clock() < self._read_at + self._pause_s:
            return False
        self._read_at = self._clock()
        return self._read() not in (b"", self._before)

    def _read(self) -> bytes:
        try:
            return self._run.read_bytes(STOP_NAME)
        except (FileNotFoundError, StorageError):
            return b""
