"""The events of an agent's worker, numbered over all its runs."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

MOST_EVENTS = 1_000
"""Events kept for a driver that asks seldom."""


class EventLog:
    """Keeps the newest events. Not thread-safe."""

    def __init__(self) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=MOST_EVENTS)
        self._number = 0

    def add(self, run_id: int | None, events: Iterable[Mapping[str, Any]]) -> None:
        """Number the events of a run, from 1 on, and keep them."""
        for event in events:
            self._number += 1
            self._events.append({**event, "number": self._number, "id": run_id})

    def after(self, number: int) -> list[dict[str, Any]]:
        """Return the events above a number, oldest first."""
        return [event for event in self._events if event["number"] > number]
