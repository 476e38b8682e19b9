"""What a worker has reported to its agent so far."""

import json
from typing import Any

from launcher.processes.lines import LineSplitter


class WorkerReports:
    """Reads the lines of one worker's pipe (``worker_link.py``), and skips any other line.

    Not thread-safe.
    """

    def __init__(self, now: float) -> None:
        """Start without reports.

        Args:
            now: time on the clock of ``feed``; counts as the first heartbeat
        """
        self._splitter = LineSplitter()
        self.ready = False
        self.last_heartbeat = now
        self.facts: dict[str, Any] = {}
        self.error: str | None = None
        self.exit_status: int | None = None
        """Exit status that the worker gave with its error."""
        self._events: list[dict[str, Any]] = []

    def feed(self, data: bytes, now: float) -> None:
        """Read what the pipe brought at the time ``now``."""
        for text in self._splitter.feed(data):
            try:
                line = json.loads(text, parse_constant=lambda _: None)
            except ValueError:
                continue
            self._take(line, now)

    def take_events(self) -> list[dict[str, Any]]:
        """Return the events since the last call: ``event``, ``time`` and the event's own facts."""
        events, self._events = self._events, []
        return events

    def _take(self, line: Any, now: float) -> None:
        match line:
            case {"beat": 1}:
                self.last_heartbeat = now
            case {"ready": 1}:
                self.ready = True
            case {"event": str(name), "time": int() | float() as time, "facts": dict(facts)}:
                self._events.append({**facts, "event": name, "time": time})
            case {"facts": dict(facts)}:
                self.facts = {**self.facts, **facts}
            case {"error": str(text), "exit_status": int(status)}:
                self.error, self.exit_status = text, status
