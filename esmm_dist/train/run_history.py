"""What happened to a run and when, ``RUN/history.jsonl``: starts, restarts, changes of ranks, checkpoints, ends.

::

    {"at": 1764444692.118, "event": "start", "step": 0, "ranks": 2, "servers": 1, "data": "data"}
    {"at": 1764444731.502, "event": "checkpoint", "step": 1000, "seconds": 0.41}
    {"at": 1764444733.020, "event": "stop", "step": 1017, "signal": "SIGTERM"}

Elastic runs have ``events.jsonl`` of their driver beside it, which knows of losses and joins.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import pydantic

from esmm_dist.storage.folder import Folder
from esmm_dist.train.json_lines import read_lines

HISTORY_NAME = "history.jsonl"
DRIVER_EVENTS_NAME = "events.jsonl"
"""What the driver of an elastic run writes: ``time`` (ISO), ``event``, facts."""

ENDS = ("stop", "done", "failed")
"""Events after which a training makes no more steps, until it is started again."""

_OWN_NAMES = {"began": "resume", "saved": "checkpoint", "evaluated": "evaluation", "stopped": "stop"}
"""What rank 0 writes itself, by the names that it has in ``events.jsonl``. ``began`` at step 0 is a ``start``."""


@dataclass(frozen=True, kw_only=True)
class RunEvent:
    """One event."""

    at: Annotated[float, pydantic.Field(ge=0, le=1e11, allow_inf_nan=False)]
    """Seconds since 1970."""
    event: str
    """``start``, ``resume``, ``ranks`` (their number changed), ``checkpoint``, ``evaluation``, ``stop`` (resumable),
    ``done``, ``failed``; of an elastic run also what its driver writes."""
    step: Annotated[int, pydantic.Field(ge=0, lt=10**15)] | None
    details: Mapping[str, Any] = field(default_factory=dict)
    """Plain values: ``ranks`` and ``servers`` (0: rows in this process) and ``data`` of start, resume and ranks,
    ``before`` (ranks) of ranks, ``split``, ``whole_split`` and ``seconds`` of evaluation, ``seconds`` of checkpoint,
    ``signal`` of stop, ``error`` (one line) of failed."""

    def to_mapping(self) -> dict[str, Any]:
        """Return the line that ``read_history`` reads, as plain values."""
        return {"at": round(self.at, 3), "event": self.event, "step": self.step, **self.details}


_EVENT = pydantic.TypeAdapter(RunEvent)


def read_history(run: Folder) -> list[RunEvent]:
    """Return the events of a run in the order of their times; none of an older run in one process.

    In an elastic run, what its driver knows is among them (losses, joins, restarts), but for what rank 0 has written
    itself. Half a line, of a training that writes or was killed, is left out, and so is a line that is no event.

    Raises:
        StorageError: The storage refuses.
    """
    own = [each for entry in read_lines(run, HISTORY_NAME) if (each := own_event(entry)) is not None]
    of_driver = [each for entry in read_lines(run, DRIVER_EVENTS_NAME) if (each := _driver_event(entry)) is not None]
    own.sort(key=lambda event: event.at)
    return sorted([*own, *_unknown_to(own, of_driver)], key=lambda event: event.at)


def own_event(entry: Mapping[str, Any]) -> RunEvent | None:
    """Return the event that a line of ``history.jsonl`` tells; None if it is none."""
    names = ("at", "event", "step")
    details = {name: value for name, value in entry.items() if name not in names}
    return _validated({**{name: entry.get(name) for name in names}, "details": details})


def _driver_event(entry: Mapping[str, Any]) -> RunEvent | None:
    try:
        time = datetime.fromisoformat(entry["time"])
        at = (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
        event = _OWN_NAMES.get(entry["event"], entry["event"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    step = entry.get("step")
    details = {name: value for name, value in entry.items() if name not in ("time", "event", "step")}
    return _validated(
        {"at": at, "event": "start" if (event, step) == ("resume", 0) else event, "step": step, "details": details}
    )


def _validated(event: Mapping[str, Any]) -> RunEvent | None:
    try:
        return _EVENT.validate_python(event)
    except pydantic.ValidationError:
        return None


def _unknown_to(own: list[RunEvent], of_driver: list[RunEvent]) -> list[RunEvent]:
    """Return the driver's events without those that rank 0 has written; ``own`` in the order of times."""
    if not own:  # a run of an earlier version
        return of_driver
    found = []
    for event in of_driver:
        if event.event in ("start", "resume", "checkpoint", "evaluation"):
            continue
        if event.event in ENDS:  # of processes that were all killed, only the driver's remains
            last = next((each for each in reversed(own) if each.at <= event.at), None)
            if last is not None and last.event in ENDS:
                continue
        found.append(event)
    return found
