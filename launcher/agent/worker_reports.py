"""What a worker has told its agent so far."""

import json
from typing import Any

from launcher.processes.lines import LineSplitter


class WorkerReports:
    """Reads the lines of one worker's pipe (``worker_link.py``). What is not such a line is left out.

    Not thread-safe.
    """

    def __init__(self, now: float) -> None:
        """Know nothing.

        Args:
            now: On the clock of ``feed``: counts as the first sign of life.
        """
        self._splitter = LineSplitter()
        self.ready = False
        self.last_beat = now
        self.facts: dict[str, Any] = {}
        self.error: str | None = None
        self.exit_status: int | None = None
        """That the worker gave with its error."""
        self._events: list[dict[str, Any]] = []

    def feed(self, data: bytes, now: float) -> None:
        """Take what the pipe brought at the time ``now``."""
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
                self.last_beat = now
            case {"ready": 1}:
                self.ready = True
            case {"event": str(name), "time": int() | float() as time, "facts": dict(facts)}:
                self._events.append({**facts, "event": name, "time": time})
            case {"facts": dict(facts)}:
                self.facts = {**self.facts, **facts}
            case {"error": str(text), "exit_status": int(status)}:
                self.error, self.exit_status = text, status
