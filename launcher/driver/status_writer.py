"""Writes what a driver knows for others: heartbeat, status and events."""

import threading
import time
from pathlib import Path

from esmm_dist.errors import StorageError
from esmm_dist.progress import Progress
from esmm_dist.storage.folder import Folder
from launcher.driver.event_journal import EventJournal
from launcher.driver.heartbeat import write_heartbeat
from launcher.driver.observed_run import ObservedRun
from launcher.run_files.run_status import write_status

HEARTBEAT_S = 0.5
WRITE_S, WRITE_REMOTE_S = 0.5, 5.0
"""Seconds between two writings of the status, on a local disk and in an object store."""


class StatusWriter:
    """Writes over and over, in a thread of its own from ``start`` to ``close``."""

    def __init__(
        self, run: Folder, observed: ObservedRun, journal: EventJournal, heartbeat_file: Path | None, progress: Progress
    ) -> None:
        """Prepare to write.

        Args:
            run: the run's folder
            observed: what is written
            journal: events, which are published too
            heartbeat_file: file for the process that started this one; None: nobody reads it
            progress: receives a message when the storage refuses
        """
        self._run, self._observed, self._journal = run, observed, journal
        self._heartbeat_file, self._progress = heartbeat_file, progress
        self._written_at = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="status", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write no more over and over; waits for the writing under way."""
        self._stopped.set()
        self._thread.join()

    def write_due(self, now: float) -> None:
        """Write the heartbeat, and status and events if it is time.

        Args:
            now: monotonic seconds
        """
        self._observed.update()
        if self._heartbeat_file is not None:
            write_heartbeat(self._heartbeat_file, self._observed.heartbeat())
        if now >= self._written_at + (WRITE_S if self._run.is_local else WRITE_REMOTE_S):
            self._written_at = now
            self.write()
            self._journal.publish()

    def write(self) -> None:
        """Write the status now."""
        try:
            write_status(self._run, self._observed.status())
        except StorageError as e:
            self._progress.message(f"The status cannot be written: {e}")

    def _work(self) -> None:
        while not self._stopped.wait(HEARTBEAT_S):
            self.write_due(time.monotonic())
