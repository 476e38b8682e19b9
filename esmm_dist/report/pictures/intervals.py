"""Points with intervals in rows: a forest plot."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from esmm_dist.report.pictures.shown_text import cut, cut_apart
from esmm_dist.report.pictures.style import MUTED, series_style

_ROW_INCHES = 0.3
_LABEL_LETTERS = 34


@dataclass(frozen=True, kw_only=True)
class IntervalSeries:
    """One point and its interval in each row."""

    name: str
    """Name in the legend; empty: none."""
    values: Sequence[float]
    """nan: there is no point, and ``notes`` says why."""
    low: Sequence[float]
    """Lower ends; nan: there is no interval."""
    high: Sequence[float]


def intervals_height(rows: int, series: int = 1) -> float:
    """Return the ``height`` of ``new_figure`` for so many rows of so many points each, with their legend above."""
    inches = 0.95 + _ROW_INCHES * max(rows, 1) * max(1.0, 0.55 * series)
    return inches / 3.0 + legend_height(series)


def legend_height(series: int) -> float:
    """Return what a legend of so many long names adds to the ``height`` of ``new_figure``; nothing of one."""
    return 0.0625 * series if series > 1 else 0.0


def interval_rows(
    axes: Axes,
    labels: Sequence[str],
    series: Sequence[IntervalSeries],
    *,
    baseline: float | None = None,
    note: str = "one class only",
    first_place: int = 0,
) -> None:
    """Draw a row for each label, the first at the top, with a point and its interval for each series.

    Args:
        axes: where to draw
        labels: names, of any text
        series: points, of as many rows as there are labels
        baseline: value that is marked by a line; None: none
        note: what is written in a row that has no point of any series
        first_place: place of the first series, for its colour and mark
    """
    if baseline is not None:
        axes.axvline(baseline, color=MUTED, linewidth=1.2, linestyle="--", zorder=1)
    step = 0.7 / max(len(series), 1)
    for place, each in enumerate(series):
        style = series_style(first_place + place)
        rows = [row + step * (place - (len(series) - 1) / 2) for row in range(len(labels))]
        axes.plot(
            each.values,
            rows,
            linestyle="none",
            marker=style.mark,
            color=style.colour,
            label=cut(each.name) if each.name else None,
            markersize=5.5,
        )
        for row, low, high in zip(rows, each.low, each.high, strict=True):
            if not math.isnan(low + high):
                axes.plot([low, high], [row, row], color=style.colour, linewidth=1.6, solid_capstyle="butt")
    for row in range(len(labels)):
        if all(math.isnan(each.values[row]) for each in series):
            axes.annotate(
                note,
                (0.02, row),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=9,
                color=MUTED,
            )
    axes.set_yticks(range(len(labels)), cut_apart(list(labels), _LABEL_LETTERS))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(len(labels), 1) - 0.4, -0.6)
