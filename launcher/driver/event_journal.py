"""What happens in an elastic run, a JSON line for each event: ``RUN/events.jsonl``. It outlives drivers."""

import json
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from esmm_dist.errors import StorageError
from esmm_dist.progress import Progress
from esmm_dist.storage.folder import Folder
from launcher.driver.event_counts import EventCounts
from launcher.run_files.run_status import EVENTS_NAME

PUBLISH_S = 5.0
"""Seconds between two writings into an object store, whose files cannot grow."""


class EventJournal:
    """Keeps the events of a run, and counts them. Thread-safe."""

    def __init__(self, run: Folder, progress: Progress) -> None:
        """Read the events of earlier drivers.

        Args:
            run: the run's folder
            progress: receives a message when the storage refuses; training goes on all the same
        """
        self._run, self._progress = run, progress
        self._lock = threading.Lock()
        self._lines = _read_lines(run)
        self._published_at, self._is_dirty = 0.0, False
        self._newest: dict[tuple[str, str], int] = {}  # number of the newest event by worker and agent
        self._counts = EventCounts()
        for line in self._lines:
            self._count(json.loads(line))

    def add(self, event: str, **facts: Any) -> None:
        """Keep an event of the driver."""
        with self._lock:
            self._keep({"time": _timestamp(datetime.now(UTC)), "event": event, **facts})

    def add_of_worker(self, worker: str, agent: str, event: Mapping[str, Any]) -> bool:
        """Keep an event that a worker has reported, with its own time, unless an earlier driver has kept it.

        Args:
            worker: the worker's name
            agent: instance of its agent, which numbers the events
            event: ``number``, ``time``, ``event`` and facts

        Returns:
            Whether it is new.
        """
        with self._lock:
            if event["number"] <= self._newest.get((worker, agent), 0):
                return False
            facts = {key: value for key, value in event.items() if key not in ("id", "time", "event")}
            at = _timestamp(datetime.fromtimestamp(event["time"], UTC))
            self._keep({"time": at, "event": event["event"], "worker": worker, "agent": agent, **facts})
            return True

    def newest(self, most: int) -> list[str]:
        """Return the newest events, each a line of JSON."""
        with self._lock:
            return self._lines[-most:]

    def totals(self) -> dict[str, Any]:
        """Return what the events add up to, by the names of ``RunStatus``."""
        with self._lock:
            return self._counts.totals()

    def publish(self, *, now: bool = False) -> None:
        """Write the events to an object store if there are new ones, at most every ``PUBLISH_S`` or ``now``."""
        with self._lock:
            if not self._is_dirty or (not now and time.monotonic() < self._published_at + PUBLISH_S):
                return
            try:
                self._run.write_bytes(EVENTS_NAME, "".join(f"{line}\n" for line in self._lines).encode())
                self._is_dirty = False
            except StorageError as e:
                self._progress.message(f"{EVENTS_NAME} cannot be written: {e}")
            self._published_at = time.monotonic()

    def _keep(self, entry: dict[str, Any]) -> None:
        self._count(entry)
        line = json.dumps(entry)
        self._lines.append(line)
        if not self._run.is_local:
            self._is_dirty = True
            return
        try:
            with (self._run.local_path / EVENTS_NAME).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as e:
            self._progress.message(f"{EVENTS_NAME} cannot be written: {e}")

    def _count(self, entry: Mapping[str, Any]) -> None:
        if "agent" in entry and "number" in entry:
            self._newest[entry["worker"], entry["agent"]] = entry["number"]
        self._counts.add(entry)


def _timestamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _read_lines(run: Folder) -> list[str]:
    """Return the whole lines of the file; the half line of a killed driver is cut off."""
    try:
        data = run.read_bytes(EVENTS_NAME)
    except FileNotFoundError:
        return []
    lines = []
    for line in data.decode(errors="replace").splitlines():
        try:
            if isinstance(json.loads(line), dict):
                lines.append(line)
        except ValueError:
            continue
    if run.is_local and data and not data.endswith(b"\n"):
        run.write_bytes(EVENTS_NAME, "".join(f"{line}\n" for line in lines).encode())
    return lines
