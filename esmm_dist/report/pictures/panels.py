"""The panels of a figure: beside one another in a file, one by one on a page."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec, SubplotSpec

from esmm_dist.report.pictures.styled import StyledFigure, house_style

PANEL_INCHES = (4.6, 3.0)
"""Width and height of one panel."""

THIRD = 0.78
"""Width of a panel, in panels, of which three stand beside one another: all three fit in a page of 860 px, with text
of the same size as that of two larger ones."""


def new_figure(
    *, rows: int = 1, columns: int = 1, width: float = 1.0, height: float = 1.0, **shared: Any
) -> tuple[StyledFigure, Any]:
    """Return an empty figure in the house's style, and its axes, an array [rows, columns].

    Args:
        rows: panels below one another
        columns: panels beside one another
        width: width of a panel, in panels
        height: height of a panel, in panels
        shared: ``sharex`` and ``sharey``, as matplotlib takes them
    """
    with house_style():
        size = (PANEL_INCHES[0] * columns * width, PANEL_INCHES[1] * rows * height)
        figure = StyledFigure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **shared)
    return figure, axes


def small_multiples(
    count: int, *, most_columns: int = 3, width: float | None = None, **shape: Any
) -> tuple[StyledFigure, list[Any]]:
    """Return a figure with so many panels, and their axes in the order of reading.

    Args:
        count: panels, 1 or more
        most_columns: panels beside one another, at most
        width: width of a panel, in panels; None: 1, or less where three stand beside one another
        shape: ``height``, ``sharex`` and ``sharey``, as ``new_figure`` takes them
    """
    columns = min(most_columns, max(1, count))
    if width is None:
        width = THIRD if columns > 2 else 1.0
    figure, axes = new_figure(rows=math.ceil(max(1, count) / columns), columns=columns, width=width, **shape)
    panels = list(axes.flat)
    for left_over in panels[count:]:
        left_over.remove()
    return figure, panels[:count]


def panel_columns(figure: Figure) -> int:
    """Return how many panels stand beside one another; 1 where they cannot be shown one by one.

    That is so if something belongs to several of them: a legend, a text or a bar of colours of the figure.
    """
    grids = {id(grid): grid for grid in (_grid(axes) for axes in figure.axes)}
    if len(grids) != 1 or figure.legends or figure.texts or figure.get_suptitle() or figure.subfigs:
        return 1
    grid = next(iter(grids.values()))
    return 1 if grid is None else int(grid.ncols)


def apart(figure: Figure) -> Iterator[int]:
    """Have a figure show one panel at a time, alone and in its own size, and yield its place from 0.

    Afterwards the figure is as it was.
    """
    panels: dict[int, list[Axes]] = {}
    for axes in figure.axes:
        if axes.get_visible():
            panels.setdefault(_place(axes).num1, []).append(axes)
    for number, place in enumerate(sorted(panels)):
        with _alone(figure, panels[place]):
            yield number


def _grid(axes: Axes) -> GridSpec | None:
    spec = axes.get_subplotspec()
    grid = None if spec is None else spec.get_gridspec()
    return grid if isinstance(grid, GridSpec) else None


def _place(axes: Axes) -> SubplotSpec:
    spec = axes.get_subplotspec()
    assert spec is not None  # panel_columns says 1 otherwise
    return spec


@contextmanager
def _alone(figure: Figure, panel: Sequence[Axes]) -> Iterator[None]:
    """Have a figure hold the axes of one panel only, while it is entered."""
    width, height = figure.get_size_inches()
    specs = [(axes, _place(axes)) for axes in panel]
    others = [axes for axes in figure.axes if axes.get_visible() and axes not in panel]
    locators: list[Any] = [
        locator
        for axes in panel
        for axis in (axes.xaxis, axes.yaxis)
        for locator in (axis.get_major_locator(), axis.get_minor_locator())
    ]
    axes_of = [each.axis for each in locators]
    ticks = [(axes, axes.xaxis.get_tick_params(), axes.yaxis.get_tick_params()) for axes in panel]
    figure.set_size_inches(*_inches(width, height, specs[0][1]))
    whole = GridSpec(1, 1, figure=figure)[0]
    with house_style():
        for axes in others:
            axes.set_visible(False)
        for axes in panel:
            axes.set_subplotspec(whole)
            for axis in (axes.xaxis, axes.yaxis):  # shared axes share locators, which look at the room of one of them
                axis.get_major_locator().set_axis(axis)
                axis.get_minor_locator().set_axis(axis)
        if len(panel) == 1:  # shared axes have their numbers at the outer panels only
            panel[0].tick_params(labelbottom=True, labelleft=True)
    try:
        yield
    finally:
        with house_style():
            for axes in others:
                axes.set_visible(True)
            for axes, spec in specs:
                axes.set_subplotspec(spec)
            for locator, axis in zip(locators, axes_of, strict=True):
                locator.set_axis(axis)
            for axes, x, y in ticks:
                axes.tick_params(labelbottom=x.get("labelbottom", True), labelleft=y.get("labelleft", True))
        figure.set_size_inches(width, height)


def _inches(width: float, height: float, spec: SubplotSpec) -> tuple[float, float]:
    """Return the size of a panel in a figure of a size."""
    grid: Any = spec.get_gridspec()
    widths = grid.get_width_ratios() or [1] * grid.ncols
    heights = grid.get_height_ratios() or [1] * grid.nrows
    across = sum(widths[spec.colspan.start : spec.colspan.stop]) / sum(widths)
    down = sum(heights[spec.rowspan.start : spec.rowspan.stop]) / sum(heights)
    return float(width * across), float(height * down)
