"""The events of a run: those of its training, and those of the driver of an elastic one (``RUN/events.jsonl``)."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from esmm_dist.storage.folder import Folder
from esmm_dist.train.run_history import RunEvent, read_history

DRIVER_EVENTS_NAME = "events.jsonl"

_SAME = {"saved": "checkpoint", "evaluated": "evaluation", "began": "start", "stopped": "stop"}
"""What a driver writes, and what the training calls it: told twice, the training's is kept."""

_OF_BOTH = frozenset({*_SAME, "done", "failed"})


def read_all_events(run: Folder) -> list[RunEvent]:
    """Return the events of a run in the order of their times; none of an older run without a driver.

    Raises:
        StorageError: The storage refuses.
    """
    own = read_history(run)
    told = {(each.event, round(each.at, 2)) for each in own}
    of_driver = (each for each in _driver_events(run) if (each.event, round(each.at, 2)) not in told)
    kept = (each for each in of_driver if not own or each.event not in _OF_BOTH)
    named = (each if own else _renamed(each) for each in kept)
    return sorted((*own, *named), key=lambda each: each.at)


def _renamed(event: RunEvent) -> RunEvent:
    name = _SAME.get(event.event, event.event)
    return RunEvent(at=event.at, event=name, step=event.step, details=event.details)


def _driver_events(run: Folder) -> Iterator[RunEvent]:
    try:
        data = run.read_bytes(DRIVER_EVENTS_NAME)
    except FileNotFoundError:
        return
    for line in data.decode(errors="replace").splitlines():
        try:
            yield _event(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):  # half a line, or none of a driver
            continue


def _event(line: Mapping[str, Any]) -> RunEvent:
    at = datetime.fromisoformat(line["time"]).timestamp()
    step = line.get("step", line.get("to_step"))
    details = {name: value for name, value in line.items() if name not in ("time", "event", "step", "agent", "number")}
    return RunEvent(at=at, event=str(line["event"]), step=step if isinstance(step, int) else None, details=details)
