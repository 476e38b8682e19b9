"""Series over a training's steps or over time: lines with bands, and marks of what happened."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from esmm_dist.arrays import Array
from esmm_dist.report.pictures.shown_text import cut
from esmm_dist.report.pictures.style import INK, MUTED, PAPER, line_of
from esmm_dist.report.pictures.styled import house_style

_MARKS_A_LINE = 10
_BAND_ALPHA = 0.18
_MOST_EVENTS = 12
_EVENT_LETTERS = 18


def line_with_band(
    axes: Axes,
    x: Sequence[float] | Array,
    y: Sequence[float] | Array,
    error: Sequence[float] | Array | None = None,
    *,
    place: int = 0,
    label: str | None = None,
) -> None:
    """Draw a series with a band of its standard error around it; where a value is nan, there is a gap.

    Args:
        axes: where to draw
        x: places, ascending, [N]
        y: values, [N]
        error: half the band's width at each value, one standard error, [N]; None: there is no band
        place: place of the series, which gives its colour, line style and mark
        label: name in the legend
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    style = line_of(place)
    marks = max(1, -(-len(x) // _MARKS_A_LINE))
    # marks of several series at one place hide each other
    axes.plot(x, y, label=None if label is None else cut(label), markevery=(place % marks, marks), **style)
    if error is not None:
        half = np.asarray(error, float)
        axes.fill_between(x, y - half, y + half, color=style["color"], alpha=_BAND_ALPHA, linewidth=0)


def event_marks(axes: Axes, events: Sequence[tuple[float, str]]) -> None:
    """Mark events on x by dotted lines with their texts, upright at the top; those close to another share a text.

    Call it last: it takes room above the data. Of very many events only the lines are drawn.

    Args:
        axes: where to draw
        events: (place on x, text)
    """
    if not events:
        return
    low, high = axes.get_xlim()
    for at, _ in events:
        axes.axvline(at, color=MUTED, linestyle=":", linewidth=1.1, zorder=1)
    width = abs(high - low) or 1.0
    groups: list[list[tuple[float, str]]] = []
    for event in sorted(events, key=lambda each: each[0]):
        if groups and event[0] - groups[-1][0][0] < 0.045 * width:
            groups[-1].append(event)
        else:
            groups.append([event])
    if len(groups) > _MOST_EVENTS:
        return
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.3 * (top - bottom))
    for group in groups:
        text = cut(group[0][1], _EVENT_LETTERS) + (f" (+{len(group) - 1})" if len(group) > 1 else "")
        _upright(axes, group[0][0], text)


def _upright(axes: Axes, at: float, text: str) -> None:
    axes.annotate(
        text,
        (at, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(-2, -2),
        textcoords="offset points",
        rotation=90,
        va="top",
        ha="right",
        fontsize=9,
        color=INK,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.5, "alpha": 0.8},
        annotation_clip=True,
    )


def legend_above(axes: Axes) -> None:
    """Put the legend above the panel, where it hides nothing; call it after ``set_title``, which moves up."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    with house_style():
        columns = _legend_columns(axes, labels)
        legend: Any = axes.legend(
            handles,
            labels,
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=columns,
            borderaxespad=0.2,
            borderpad=0.1,
            columnspacing=1.2,
            handlelength=2.6,
        )
        legend.set_in_layout(True)
        if axes.get_title(loc="left"):
            rows = -(-len(labels) // columns)
            axes.set_title(axes.get_title(loc="left"), pad=8 + 13.5 * rows)


def _legend_columns(axes: Axes, labels: Sequence[str]) -> int:
    figure: Any = axes.get_figure()
    spec = axes.get_subplotspec()
    columns = 1 if spec is None else spec.get_gridspec().ncols
    points = 0.84 * 72 * float(figure.get_figwidth()) / columns
    longest = 42 + 5.4 * max(len(each) for each in labels)
    if sum(42 + 5.4 * len(each) for each in labels) <= points:
        return len(labels)
    return max(1, min(len(labels), int(points // longest)))
