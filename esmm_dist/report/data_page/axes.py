"""Axes that this page's pictures share: counts, shares, names and days as a reader takes them in."""

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from esmm_dist.report.data_page.texts import percent, shown
from esmm_dist.report.pictures.style import MUTED
from esmm_dist.words import short_number

_MOST_TICKS = 6


def plain(name: str, letters: int = 28) -> str:
    """Return a name that matplotlib draws as it stands: a dollar begins no formula."""
    return shown(name, letters).replace("$", r"\$")


def counts_on(axis: Axis, *, log: bool = False) -> None:
    """Label an axis by counts (10 k, 2 M), few of them."""
    _ticks(axis, lambda value, _: short_number(value), log=log)


def shares_on(axis: Axis, *, log: bool = False) -> None:
    """Label an axis by percentages, few of them."""
    _ticks(axis, lambda value, _: percent(value).replace(".00%", "%").replace(".0%", "%"), log=log)


def _ticks(axis: Axis, text: Callable[[float, Any], str], *, log: bool) -> None:
    axes: Axes = axis.axes
    if log:
        set_scale = axes.set_xscale if axis.axis_name == "x" else axes.set_yscale  # type: ignore[attr-defined]
        set_scale("log")
        axis.set_major_locator(LogLocator(10, numticks=_MOST_TICKS))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(nbins=_MOST_TICKS - 1))
    axis.set_major_formatter(FuncFormatter(text))


def names_on_y(axes: Axes, names: Sequence[str]) -> None:
    """Label the places 0, 1, ... of the y axis by names, the first on top."""
    axes.set_yticks(range(len(names)), [plain(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def nothing_to_draw(axes: Axes, text: str) -> None:
    """Say in an empty panel that there is nothing."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED)


def unused(axes: Axes) -> None:
    """Hide a panel that has no series."""
    axes.set_visible(False)
