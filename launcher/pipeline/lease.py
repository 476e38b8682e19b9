"""One pipeline at a time in a folder of an object store, which has no locks.

Who works writes a lease, and renews it. A second process finds one, and waits whether it is renewed: if it is, somebody
works; if not, whoever wrote it is dead, and the lease may be taken. Clocks of machines are not compared. Two that take
a lease in the same second both read it again after a pause: the last one that has written it holds it. A process that
was halted for longer than the wait finds that its lease is taken at its next write of the state, and stops.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from esmm_dist.errors import ConfigError, StorageError
from esmm_dist.progress import Progress
from esmm_dist.storage.folder import Folder

LEASE_NAME = ".lease.json"

RENEW_S = 10.0
"""Seconds between renewals."""

WAIT_S = 45.0
"""Seconds without a renewal after which a lease is that of a dead process: several renewals may fail or be slow."""

_SETTLE_S = 1.0
"""Seconds after writing a lease within which another process that saw none has written its own."""


class Lease:
    """The lease that this process holds. A thread renews it; ``check`` may be called from any thread.

    Args:
        folder: folder of the store
        holder: text that no other process has
    """

    def __init__(self, folder: Folder, holder: str) -> None:
        self._folder, self._holder = folder, holder
        self._count = 0

    def write(self) -> None:
        """Write or renew it."""
        self._count += 1
        content = {"holder": self._holder, "renewed": self._count, **_this_process()}
        self._folder.write_bytes(LEASE_NAME, json.dumps(content).encode() + b"\n")

    def check(self) -> None:
        """Raise if another process has taken the lease.

        Raises:
            ConfigError: it has
        """
        found = _read(self._folder)
        if found is None or found.get("holder") != self._holder:
            raise ConfigError(
                f"Another esmm pipeline has taken over {self._folder}, as this one was halted for too long. Leave the "
                "work to it."
            )


@contextmanager
def leased(folder: Folder, progress: Progress, *, wait_s: float = WAIT_S, renew_s: float = RENEW_S) -> Iterator[Lease]:
    """Hold a folder of a store for the ``with`` block.

    Args:
        folder: folder of the pipeline
        progress: receives a line if there is somebody's lease to wait for
        wait_s: seconds without a renewal after which a lease is free
        renew_s: seconds between renewals

    Raises:
        ConfigError: another process works on it
        StorageError: the store cannot be read or written
    """
    found = _read(folder)
    if found is not None and not _is_dead(found):
        progress.message(
            f"{found.get('host')} was working on {folder}. Looking for {wait_s:g} s whether it still does."
        )
        _wait_for_silence(folder, found, wait_s)
    lease = Lease(folder, secrets.token_hex(8))
    lease.write()
    time.sleep(_SETTLE_S)
    lease.check()
    stop = threading.Event()
    thread = threading.Thread(target=_renew, args=(lease, stop, renew_s), name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        stop.set()
        thread.join()
        with suppress(ConfigError, StorageError):  # another's lease stays
            lease.check()
            folder.delete_file(LEASE_NAME)


def _wait_for_silence(folder: Folder, found: dict[str, Any], wait_s: float) -> None:
    end = time.monotonic() + wait_s
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, wait_s / 10, 1.0))
        now = _read(folder)
        if now is None:
            return
        if now != found:
            raise ConfigError(
                f"Another esmm pipeline works on {folder}, on {now.get('host')} (process {now.get('pid')}). Wait for "
                "it, or give another folder as work."
            )


def _renew(lease: Lease, stop: threading.Event, renew_s: float) -> None:
    while not stop.wait(renew_s):
        with suppress(ConfigError, StorageError):  # the next renewal tries again; the next write of the state tells
            lease.check()
            lease.write()


def _read(folder: Folder) -> dict[str, Any] | None:
    try:
        found = json.loads(folder.read_bytes(LEASE_NAME))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _this_process() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _start_of(os.getpid())}


def _is_dead(lease: dict[str, Any]) -> bool:
    """Return whether a lease is that of a process of this machine which has ended."""
    pid = lease.get("pid")
    return lease.get("host") == socket.gethostname() and isinstance(pid, int) and _start_of(pid) != lease.get("started")


def _start_of(pid: int) -> str:
    """Return when a process was started, as the kernel counts (``proc(5)``); empty if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]
