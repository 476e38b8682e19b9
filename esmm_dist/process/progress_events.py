"""Progress as lines for a program: a process writes them, and the process that started it reads and replays them."""

import json
import time
from collections.abc import Callable
from typing import Any, TextIO

from esmm_dist.progress import Progress

MARK = "\x1e"
"""First character of an event's line (ASCII's record separator), which no log line has."""

EVERY_S = 0.1
"""Seconds between two events that only advance: a bar that is redrawn ten times a second moves smoothly."""


class JsonProgress:
    """Writes one JSON line per event, each in one write, so that lines of other threads do not cut it."""

    def __init__(self, stream: TextIO, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._every_s = every_s
        self._clock = clock
        self._last = float("-inf")
        self._amount = 0.0
        self._note = ""

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        """Write that a task begins."""
        self._flush()
        self._write({"event": "start", "task": task, "total": total, "unit": unit, "done": done})

    def advance(self, amount: float, note: str = "") -> None:
        """Count the amount, and write an event if the last one is old enough."""
        self._amount += amount
        self._note = note or self._note
        if self._clock() - self._last >= self._every_s:
            self._flush()

    def message(self, text: str) -> None:
        """Write a message."""
        self._write({"event": "message", "text": text})

    def finish(self) -> None:
        """Write that the task ends."""
        self._flush()
        self._write({"event": "finish"})

    def _flush(self) -> None:
        if self._amount or self._note:
            self._last = self._clock()
            self._write({"event": "advance", "amount": self._amount, "note": self._note})
            self._amount, self._note = 0.0, ""

    def _write(self, event: dict[str, Any]) -> None:
        self._stream.write(f"{MARK}{json.dumps(event)}\n")
        self._stream.flush()


def split_event(line: str) -> tuple[str, str]:
    """Split a line into what stands before an event (the beginning of a log line) and the event's text, or ""."""
    before, _, event = line.partition(MARK)
    return before, event


def replay(event: str, progress: Progress) -> bool:
    """Report one event to a listener.

    Returns:
        False if the text is not an event; nothing is reported then.
    """
    try:
        found = json.loads(event)
    except ValueError:
        return False
    match found:
        case {
            "event": "start",
            "task": str(task),
            "total": None | int() | float() as total,
            "unit": str(unit),
            "done": int() | float() as done,
        }:
            progress.start(task, total, unit, done)
        case {"event": "advance", "amount": int() | float() as amount, "note": str(note)}:
            progress.advance(amount, note)
        case {"event": "message", "text": str(text)}:
            progress.message(text)
        case {"event": "finish"}:
            progress.finish()
        case _:
            return False
    return True
