"""Axes that this page's pictures share."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis

from esmm_dist.report.pictures.numbers_shown import show_short
from esmm_dist.report.pictures.shown_text import cut_apart
from esmm_dist.report.pictures.style import line_of

SINGLE = 1.25
"""Width of a picture of one panel: two stand beside one another, and a phone shows a whole one."""

_MOST_TICKS = 6


def counts_on_log(axis: Axis, most: int) -> None:
    """Number a logarithmic axis that begins at 1 by 1, 2, 5, 10, ...: few numbers, and never one alone.

    Args:
        axis: axis whose scale is logarithmic
        most: largest count on it
    """
    ticks = [step * 10**power for power in range(len(str(max(most, 1)))) for step in (1, 2, 5)]
    ticks = [each for each in ticks if each <= most] or [1]
    while len(ticks) > _MOST_TICKS:
        ticks = ticks[::2] if ticks[2] != 5 else ticks[::3]
    axis.set_ticks(ticks)
    axis.set_ticks([], minor=True)
    show_short(axis)


def marks_on_bars(axes: Axes, xs: Sequence[float], ys: Sequence[float], label: str) -> None:
    """Draw the marks of a second series on bars; in a legend it stands after them."""
    axes.errorbar(xs, ys, label=label, **{**line_of(1), "linestyle": "none"})


def names_on_y(axes: Axes, names: Sequence[str]) -> None:
    """Label the places 0, 1, ... of the y axis by names, the first on top."""
    axes.set_yticks(range(len(names)), cut_apart(list(names)))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(len(names), 1) - 0.4, -0.6)
