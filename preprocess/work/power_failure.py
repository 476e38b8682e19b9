"""What of a begun run is still there after the machine has lost its power.

Pieces of work are renamed into place but not synced one by one: most are read again within minutes and then deleted,
and waiting for the disk each time would cost more than making them again. So a long run syncs all of ``.work`` every
few minutes, and before it deletes what finished stages have read; ``synced`` has the time of the last such moment. A
run that finds itself on a machine that was started since (another boot id) drops the results that are newer, for their
files may be cut off or empty, and does that work again. One that never synced starts from the beginning.
"""

import ctypes
import os
import time
from pathlib import Path

from esmm_dist.errors import StorageError
from esmm_dist.storage.whole_file import write_durable

SYNC_EVERY_S = 300.0
"""A run loses at most so much of its work; a shorter one never waits for the disk."""

_TICK_S = 0.001  # clocks of files tick every 1 to 10 ms

DONE_FOLDER = "done"
_SYNCED_NAME = "synced"
_BOOT_NAME = "boot_id"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Syncs:
    """Syncs a run's folder now and then. Used by one thread."""

    def __init__(self, work: Path) -> None:
        """Begin to count the time."""
        self._work = work
        self._last = time.monotonic()

    def if_due(self) -> None:
        """Sync if the last time was long ago; blocks while the disk writes."""
        if time.monotonic() - self._last >= SYNC_EVERY_S:
            self._sync()

    def before_deleting(self) -> None:
        """Sync if a run that goes on after a power failure could need what is to be deleted."""
        if (self._work / _SYNCED_NAME).exists():
            self._sync()

    def _sync(self) -> None:
        begun = self._work / f"{_SYNCED_NAME}.begun"  # its time is the disk's own, which may be another machine's
        begun.write_bytes(b".")
        earlier = begun.stat().st_mtime_ns
        while begun.stat().st_mtime_ns == earlier:  # later than all results so far, which the same tick may hold
            time.sleep(_TICK_S)
            begun.write_bytes(b".")
        _sync_disk_of(self._work)
        begun.replace(self._work / _SYNCED_NAME)
        _sync_disk_of(self._work)
        self._last = time.monotonic()


def note_boot(work: Path) -> None:
    """Note on which boot of which machine the run works from now on."""
    write_durable(work / _BOOT_NAME, _BOOT_ID.read_bytes())


def same_boot(work: Path) -> bool:
    """Return whether the run last worked on this machine, and the machine was not started since."""
    try:
        return (work / _BOOT_NAME).read_bytes() == _BOOT_ID.read_bytes()
    except FileNotFoundError:
        return False


def drop_unsynced(work: Path) -> bool:
    """Remove the results that the last sync did not cover; return False if it covered none."""
    try:
        synced_ns = (work / _SYNCED_NAME).stat().st_mtime_ns
    except FileNotFoundError:
        return False
    for result in (work / DONE_FOLDER).iterdir():
        if result.stat().st_mtime_ns >= synced_ns:
            result.unlink()
    return True


def _sync_disk_of(folder: Path) -> None:
    """Return when all that was written to a folder's file system is on the disk: one call for thousands of files."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            problem = os.strerror(ctypes.get_errno())
            raise StorageError(f"{folder} cannot be written to its disk: {problem}. Free space, or check the disk.")
    finally:
        os.close(descriptor)
