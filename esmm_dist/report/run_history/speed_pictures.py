"""Pictures of how fast a run trains, where its time goes, how its tables grow, and what happened when."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from esmm_dist.report.pictures.numbers_shown import show_data_size, show_short
from esmm_dist.report.pictures.picture import Picture, bar_of, line_of, new_figure
from esmm_dist.report.pictures.shown_text import cut_middle
from esmm_dist.report.pictures.style import INK, MUTED
from esmm_dist.report.run_history.axes import MOST_SERIES, step_axis, without_marks_if_many
from esmm_dist.report.run_history.course import RunCourse
from esmm_dist.report.run_history.shares import PARTS, newest_by_step, share_bins, time_shares
from esmm_dist.report.run_history.speed_line import speed_line
from esmm_dist.report.run_history.time_axis import TimeAxis
from esmm_dist.report.run_history.time_line import draw_lanes, lane_numbers, lanes_of
from esmm_dist.words import short_number


def throughput_picture(course: RunCourse, name: str = "throughput") -> Picture | None:
    """Return impressions a second over wall time, with what happened below it; None if neither is known."""
    points = [each for each in course.speed if each.seconds > 0]
    lanes = lanes_of(course)
    if not points and not lanes:
        return None
    moments = [*(each.at for each in points), *(each.at - each.seconds for each in points)]
    moments += [event.at for _, events in lanes for event in events]
    axis = TimeAxis.of_moments(moments)
    heights = [*([1.0] if points else []), *([0.12 + 0.16 * len(lanes)] if lanes else [])]
    figure, grid = new_figure(
        rows=len(heights),
        width=2.0,
        height=0.95 * sum(heights) / len(heights),
        sharex=True,
        gridspec_kw={"height_ratios": heights},
    )
    numbers: dict[str, Any] = {"unit": axis.unit, "pauses_s": [seconds for _, seconds in axis.cuts]}
    if points:
        numbers |= _draw_throughput(grid[0, 0], course, axis)
    if lanes:
        draw_lanes(grid[-1, 0], lanes, axis)
        numbers["events"] = lane_numbers(lanes, axis)
    for axes in grid.flat:
        axes.set_xlabel(axis.label)
        axes.xaxis.label.set_visible(axes is grid[-1, 0])
        for place, _ in axis.cuts:
            axes.axvline(place, color=MUTED, linestyle=":", linewidth=1)
    return Picture(
        name=name,
        title=_throughput_title(course) if points else f"{_count(lanes)} events of the run, by their time.",
        how_to_read=_how_to_read(axis, bool(points), bool(lanes)),
        figure=figure,
        numbers=numbers,
    )


def _draw_throughput(axes: Any, course: RunCourse, axis: TimeAxis) -> dict[str, Any]:
    points = [each for each in course.speed if each.seconds > 0]
    speed = np.array([each.impressions / each.seconds for each in points])
    axes.plot(*speed_line(points, axis), **without_marks_if_many(line_of(0), len(points)))
    axes.set_ylim(0, max(speed.max() * 1.08, 1e-9))
    axes.set_ylabel("impressions a second")
    show_short(axes.yaxis)
    return {
        "at": [each.at for each in points],
        "step": [each.step for each in points],
        "ranks": [each.ranks for each in points],
        "impressions_per_second": speed.tolist(),
    }


def mean_speed(course: RunCourse) -> float:
    """Return the impressions a second of all steps together; nan if it is not known."""
    seconds = sum(each.seconds for each in course.speed)
    return sum(each.impressions for each in course.speed) / seconds if seconds > 0 else float("nan")


def _throughput_title(course: RunCourse) -> str:
    ranks = sorted({each.ranks for each in course.speed})
    by = (
        f"on {ranks[0]} to {ranks[-1]} ranks"
        if len(ranks) > 1
        else "on one rank"
        if ranks == [1]
        else f"on {ranks[0]} ranks"
    )
    return f"The run trains {short_number(mean_speed(course))} impressions a second {by}."


def _how_to_read(axis: TimeAxis, has_speed: bool, has_events: bool) -> str:
    parts = []
    if has_speed:
        parts.append(
            "the line is the speed of all ranks together between two lines of the log; in a gap nothing is trained"
        )
    if has_events:
        parts.append("a mark below is an event, on the same axis of time")
    if axis.cuts:
        parts.append("at a dotted line a pause is cut out")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _count(lanes: Sequence[tuple[str, Sequence[Any]]]) -> int:
    return sum(len(events) for _, events in lanes)


def shares_picture(course: RunCourse, name: str = "time-shares") -> Picture | None:
    """Return where the time of a run goes, by step and over all; None if that is not known."""
    bins = share_bins(course.speed)
    if not bins:
        return None
    figure, grid = new_figure(columns=2, width=1.05, gridspec_kw={"width_ratios": [4, 1]}, sharey=True)
    by_step, over_all = grid[0, 0], grid[0, 1]
    total = time_shares(course.speed)
    left = np.array([each.first_step for each in bins], dtype=np.float64)
    width = np.array([each.last_step - each.first_step for each in bins], dtype=np.float64)
    below, below_all = np.zeros(len(bins)), 0.0
    for place, (part, label) in enumerate(PARTS.items()):
        share = np.array([each.shares[part] for each in bins]) * 100
        by_step.bar(left, share, width, bottom=below, align="edge", label=label, **_bar(place))
        over_all.bar([0], [total[part] * 100], 0.7, bottom=[below_all], **_bar(place))
        if total[part] >= 0.07:
            text = over_all.text(
                0, below_all + total[part] * 50, f"{total[part]:.0%}", ha="center", va="center", color=INK
            )
            text.set_bbox({"facecolor": "#fefefe", "edgecolor": "none", "pad": 1.5})
        below, below_all = below + share, below_all + total[part] * 100
    step_axis(by_step)
    by_step.set_ylabel("share of the time, %")
    by_step.set_ylim(0, 100)
    over_all.set_xticks([])
    over_all.set_xlabel("all steps")
    over_all.set_ylabel("share of the time, %")
    over_all.yaxis.label.set_visible(False)
    over_all.set_xlim(-0.5, 0.5)
    figure.legend(*by_step.get_legend_handles_labels(), loc="outside lower center", ncols=len(PARTS))
    return Picture(
        name=name,
        title=shares_sentence(course),
        how_to_read="Each column is a stretch of steps, its colours the shares of wall time on rank 0: waiting for the "
        "batch that is read, for the rows it looks up, computing, and handing over gradients; evaluations and "
        "checkpoints are left out. The column at the right is of all steps.",
        figure=figure,
        numbers={
            "first_step": [each.first_step for each in bins],
            "last_step": [each.last_step for each in bins],
            "shares": {part: [each.shares[part] for each in bins] for part in PARTS},
            "all": total,
        },
    )


def _bar(place: int) -> dict[str, Any]:
    return bar_of(place)


def shares_sentence(course: RunCourse) -> str:
    """Return in a sentence what takes the most of the time; empty if that is not known."""
    total = time_shares(course.speed)
    if not total:
        return ""
    most = max(total, key=lambda part: total[part])
    return f"Of the training time, {total[most]:.0%} goes into {_DOING[most]}."


_DOING: Mapping[str, str] = {
    "input": "waiting for batches to be read",
    "pull": "waiting for rows",
    "step": "computing (forward, backward, dense weights)",
    "push": "handing over gradients of rows",
    "rest": "what is not measured apart",
}


def growth_picture(course: RunCourse, name: str = "table-growth") -> Picture | None:
    """Return rows and bytes of the tables by step; None if they are not known."""
    points = [each for each in newest_by_step(course.speed) if each.tables]
    if not points:
        return None
    sizes = points[-1].tables
    largest = sorted(sizes, key=lambda table: (-sizes[table].bytes, table))
    chosen = largest if len(largest) <= MOST_SERIES else largest[: MOST_SERIES - 1]
    rest = [table for table in largest if table not in chosen]
    figure, grid = new_figure(columns=2)
    steps = [each.step for each in points]
    numbers: dict[str, Any] = {"step": steps, "rows": {}, "bytes": {}}
    series = [*((cut_middle(table), [table]) for table in chosen), *([(f"{len(rest)} others", rest)] if rest else [])]
    for place, (label, tables) in enumerate(series):
        for axes, figure_name in ((grid[0, 0], "rows"), (grid[0, 1], "bytes")):
            values = [
                sum(getattr(each.tables[table], figure_name) for table in tables if table in each.tables)
                for each in points
            ]
            axes.plot(steps, values, label=label, **without_marks_if_many(line_of(place), len(steps)))
            numbers[figure_name][label] = values
    for axes, label, show in ((grid[0, 0], "rows", show_short), (grid[0, 1], "memory", show_data_size)):
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        show(axes.yaxis)
        step_axis(axes)
    if len(series) > 1:
        grid[0, 0].legend(loc="best")
    return Picture(
        name=name,
        title=_growth_title(points),
        how_to_read="Rows of the embedding tables over all servers, and the memory of rows and index, by step"
        + ("; a line is a table." if len(series) > 1 else "."),
        figure=figure,
        numbers=numbers,
    )


def _growth_title(points: Sequence[Any]) -> str:
    rows = [sum(table.rows for table in each.tables.values()) for each in points]
    size = sum(table.bytes for table in points[-1].tables.values())
    cut = points[0].step + 0.75 * (points[-1].step - points[0].step)
    before = [count for each, count in zip(points, rows, strict=True) if each.step <= cut][-1]
    growth = (rows[-1] - before) / max(before, 1)
    if len(points) < 4 or abs(growth) < 0.005:
        ending = "" if len(points) < 4 else ", and have stopped growing"
        return f"The tables hold {rows[-1]:,} rows in {size / 1e6:,.1f} MB{ending}."
    way = "grew" if growth > 0 else "shrank"
    return (
        f"The tables hold {rows[-1]:,} rows in {size / 1e6:,.1f} MB, and {way} by {abs(growth):.1%} over the last "
        "quarter of the steps."
    )


def speed_of_runs_picture(courses: Sequence[RunCourse]) -> Picture | None:
    """Return the speed of several runs by step; None if none is known."""
    found = [each for each in courses if mean_speed(each) > 0][:MOST_SERIES]
    if not found:
        return None
    figure, grid = new_figure(width=2.0)
    axes, numbers = grid[0, 0], {}
    for place, course in enumerate(found):
        points = [each for each in newest_by_step(course.speed) if each.seconds > 0]
        steps = [each.step for each in points]
        speed = [each.impressions / each.seconds for each in points]
        axes.plot(steps, speed, label=cut_middle(course.label), **without_marks_if_many(line_of(place), len(steps)))
        numbers[course.label] = {"step": steps, "impressions_per_second": speed}
    axes.set_ylim(bottom=0)
    axes.set_ylabel("impressions a second")
    show_short(axes.yaxis)
    step_axis(axes)
    axes.legend(loc="best")
    fastest = max(found, key=mean_speed)
    return Picture(
        name="throughput",
        title=f"{fastest.label} is the fastest, with {short_number(mean_speed(fastest))} impressions a second.",
        how_to_read="Speed of all ranks of a run together, by step, while they train: evaluations and checkpoints are "
        "left out. A line is a run.",
        figure=figure,
        numbers=numbers,
    )
