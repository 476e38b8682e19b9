"""What happened to a run, in lanes along the axis of time, and as a table."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from esmm_dist.report.page.blocks import PageTable
from esmm_dist.report.pictures.shown_text import cut_middle
from esmm_dist.report.pictures.style import series_style
from esmm_dist.report.run_history.course import RunCourse
from esmm_dist.report.run_history.time_axis import TimeAxis
from esmm_dist.train.run_history import RunEvent

LANES: Mapping[str, tuple[str, ...]] = {
    "start, resume": ("start", "resume", "driver_started"),
    "joins, ranks": ("worker_started", "ranks", "ranks_change"),
    "losses": (
        "worker_lost",
        "worker_stalled",
        "worker_left",
        "agent_lost",
        "server_lost",
        "driver_lost",
        "interrupted",
    ),
    "restarts": ("all_restarted", "rolled_back", "went_on"),
    "checkpoints": ("checkpoint",),
    "evaluations": ("evaluation",),
    "published": ("published", "not_published"),
    "end": ("stop", "done", "failed"),
}
"""Kinds of events by the lane that shows them; other kinds are left out of pictures."""

MOST_ROWS = 200
"""Events that the table shows: the newest."""

_MOST_DETAIL = 120


def lanes_of(course: RunCourse) -> list[tuple[str, list[RunEvent]]]:
    """Return the lanes that have an event, in their order."""
    found = [(lane, [each for each in course.events if each.event in kinds]) for lane, kinds in LANES.items()]
    return [(lane, events) for lane, events in found if events]


def draw_lanes(axes: Any, lanes: Sequence[tuple[str, Sequence[RunEvent]]], axis: TimeAxis) -> None:
    """Draw a mark for each event."""
    order = list(LANES)
    for row, (lane, events) in enumerate(lanes):
        style = series_style(order.index(lane))
        x = axis.place([each.at for each in events])
        axes.plot(x, [row] * len(x), linestyle="none", marker=style.mark, color=style.colour, markersize=7)
    axes.set_yticks(range(len(lanes)), [lane for lane, _ in lanes])
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    axes.set_ylabel("event")


def lane_numbers(lanes: Sequence[tuple[str, Sequence[RunEvent]]], axis: TimeAxis) -> dict[str, Any]:
    """Return what ``draw_lanes`` draws, as plain values."""
    return {
        lane: {"at": [each.at for each in events], "place": axis.place([each.at for each in events]).tolist()}
        for lane, events in lanes
    }


def event_table(course: RunCourse) -> PageTable | None:
    """Return the events of a run with their times, the newest last; None if there is none."""
    if not course.events:
        return None
    newest = course.events[-MOST_ROWS:]
    left = len(course.events) - len(newest)
    rows = [[_time(each.at), cut_middle(each.event), _step(each.step), _details(each.details)] for each in newest]
    return PageTable(
        title=f"The events of {cut_middle(course.label)}"
        + (f", the newest {MOST_ROWS} of {len(course.events):,}." if left else "."),
        head=["time (UTC)", "event", "step", "details"],
        rows=rows,
        text_columns=(0, 1, 3),
        folded=True,
    )


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _step(step: int | None) -> str:
    return f"{step:,}" if step is not None else "–"


def _details(details: Mapping[str, Any]) -> str:
    return cut_middle(", ".join(f"{name} {value}" for name, value in details.items()), _MOST_DETAIL)
