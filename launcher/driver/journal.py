"""What happens in an elastic run, one JSON line an event: ``RUN/events.jsonl``. It survives drivers."""

import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from esmm_dist.errors import StorageError
from esmm_dist.progress import Progress
from esmm_dist.storage.folder import Folder
from launcher.run_files.run_status import EVENTS_NAME

RESTARTS = {
    "worker_lost": "worker lost",
    "worker_stalled": "worker stalled",
    "worker_left": "worker left",
    "agent_lost": "worker host lost",
    "server_lost": "server lost",
    "driver_lost": "driver lost",
    "all_restarted": "all restarted",
}
"""Events that count as restarts, and how the status calls them."""

PUBLISH_S = 5.0
"""Seconds between two writings into an object store, whose files cannot grow."""


class Journal:
    """Keeps the events of a run, and what they add up to. Thread-safe."""

    def __init__(self, run: Folder, progress: Progress) -> None:
        """Go on with the events of the drivers before.

        Args:
            run: The run's folder.
            progress: Told of a storage that refuses; training goes on all the same.
        """
        self._run, self._progress = run, progress
        self._lock = threading.Lock()
        self._lines = _read_lines(run)
        self._published_at, self._dirty = 0.0, False
        self._reached = 0  # by workers that have all ended
        self._newest: dict[tuple[str, str], int] = {}  # number of the newest event by worker and agent
        self.checkpoint: tuple[int, float] | None = None
        """Step of the newest checkpoint, and when it was saved, in seconds since 1970."""
        self.evaluation: dict[str, Any] = {}
        """The newest, as ``RunStatus`` has it."""
        self.restarts: Counter[str] = Counter()
        self.undone_steps = self.lost_sparse_steps = self.repeated_sparse_steps = self.rolled_back_steps = 0
        for line in self._lines:
            self._count(json.loads(line))

    def add(self, event: str, **facts: Any) -> None:
        """Keep an event."""
        with self._lock:
            self._keep({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts})

    def add_of_worker(self, worker: str, agent: str, told: Mapping[str, Any]) -> bool:
        """Keep an event that a worker has told, with its own time, unless a driver before this one has.

        Args:
            worker: Its name.
            agent: Instance of its agent, which counts the events.
            told: ``number``, ``time``, ``event`` and facts.

        Returns:
            Whether it is new.
        """
        with self._lock:
            if told["number"] <= self._newest.get((worker, agent), 0):
                return False
            facts = {key: value for key, value in told.items() if key not in ("id", "time", "event")}
            at = datetime.fromtimestamp(told["time"], UTC).isoformat(timespec="milliseconds")
            self._keep({"time": at, "event": told["event"], "worker": worker, "agent": agent, **facts})
            return True

    def _keep(self, entry: dict[str, Any]) -> None:
        self._count(entry)
        line = json.dumps(entry)
        self._lines.append(line)
        if not self._run.is_local:
            self._dirty = True
            return
        try:
            with (self._run.local_path / EVENTS_NAME).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as e:
            self._progress.message(f"{EVENTS_NAME} cannot be written: {e}")

    def newest(self, most: int) -> list[str]:
        """Return the newest events, each a line of JSON."""
        with self._lock:
            return self._lines[-most:]

    def publish(self, *, now: bool = False) -> None:
        """Bring the events to an object store, if it is time."""
        with self._lock:
            if not self._dirty or (not now and time.monotonic() < self._published_at + PUBLISH_S):
                return
            try:
                self._run.write_bytes(EVENTS_NAME, "".join(f"{line}\n" for line in self._lines).encode())
                self._dirty = False
            except StorageError as e:
                self._progress.message(f"{EVENTS_NAME} cannot be written: {e}")
            self._published_at = time.monotonic()

    def _count(self, entry: dict[str, Any]) -> None:
        if "agent" in entry and "number" in entry:
            self._newest[entry["worker"], entry["agent"]] = entry["number"]
        event = entry.get("event", "")
        if event == "saved":
            self.checkpoint = (int(entry["step"]), datetime.fromisoformat(entry["time"]).timestamp())
        if event == "evaluated":
            self.evaluation = {name: entry[name] for name in ("step", "split", "auc")}
        if event in RESTARTS:
            self.restarts[RESTARTS[event]] += 1
        elif event == "went_on":
            self.undone_steps += int(entry.get("undone_steps", 0))
            self.lost_sparse_steps += int(entry.get("lost_sparse_steps", 0))
            self.repeated_sparse_steps += int(entry.get("repeated_sparse_steps", 0))
        if event == "all_restarted":
            self._reached = int(entry.get("step", 0))
        elif event == "began":
            self.rolled_back_steps += max(0, self._reached - int(entry.get("step", 0)))
            self._reached = 0
        elif event == "rolled_back":
            self.rolled_back_steps += max(0, int(entry.get("from_step", 0)) - int(entry.get("to_step", 0)))


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
