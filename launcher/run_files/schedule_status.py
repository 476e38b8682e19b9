"""The state of a job that runs by a schedule: its runs, and when the next one is due."""

from collections.abc import Sequence
from dataclasses import dataclass

from esmm_dist.text_table import text_table


@dataclass(frozen=True, kw_only=True)
class ScheduledRun:
    """One run of a schedule."""

    name: str
    """Name of its Job."""
    started: str
    """When it began (RFC 3339, UTC); empty: it waits."""
    ended: str
    """When it ended; empty: it has not."""
    state: str
    """``running``, ``done``, ``failed``, or of a pipeline ``refused``: by the gate, an older model serves."""
    last_words: str = ""
    """What one that failed or was refused, or the newest one, said last."""


@dataclass(frozen=True, kw_only=True)
class ScheduleStatus:
    """A schedule, its runs and the next one."""

    cron: str
    time_zone: str
    next_run: str
    """When the next one is due, in the schedule's time zone (ISO 8601); empty: it is suspended."""
    runs: Sequence[ScheduledRun]
    """The runs that the cluster still knows, newest first."""


def schedule_lines(status: ScheduleStatus) -> list[str]:
    """Return the state of a schedule for a reader."""
    when = f"next run: {status.next_run}" if status.next_run else "no run is due: it is suspended"
    lines = [f"{when} (schedule {status.cron}, {status.time_zone})"]
    if not status.runs:
        return [*lines, "It has not run yet, or none of its runs was kept."]
    rows = [[each.name, each.started or "-", each.ended or "-", each.state] for each in status.runs]
    lines += ["", *text_table(["run", "started", "ended", "state"], rows)]
    said = [f"{each.name} ({each.state}): {each.last_words}" for each in status.runs if each.last_words]
    return [*lines, *([""] if said else []), *said]
