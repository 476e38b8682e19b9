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
_LETTERS = "ABCDEF"
_CLOSE = 0.03
"""Share of the x axis within which two letters would lie over one another."""
_ROOM = 0.1
"""Share of the y axis that is added for them."""


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
    """Mark events on x by dotted lines under letters, which the legend explains: ``A: join``.

    Call it after the data are drawn and before ``legend_above``. Events of one text share a letter; texts after the
    sixth share the last. Letters of events that are close together stand as one word.

    Args:
        axes: where to draw
        events: (place on x, text), in any order; texts are best of one or two words
    """
    if not events:
        return
    known = list(dict.fromkeys(text for _, text in events))
    named = {text: _LETTERS[min(place, len(_LETTERS) - 1)] for place, text in enumerate(known)}
    names = {letter: cut(text) for text, letter in reversed(named.items())}
    if len(known) > len(_LETTERS):
        names[_LETTERS[-1]] = "other events"
    for at, text in events:
        label = names.pop(named[text], None)
        shown = None if label is None else f"{named[text]}: {label}"
        axes.axvline(at, color=MUTED, linestyle=":", linewidth=1.1, zorder=1, label=shown)
    _make_room(axes)
    low, high = axes.get_xlim()
    for group in _close(sorted(events, key=lambda each: each[0]), _CLOSE * (abs(high - low) or 1.0)):
        letters = "".join(sorted({named[text] for _, text in group}))
        _badge(axes, (group[0][0] + group[-1][0]) / 2, letters)


def _close(events: Sequence[tuple[float, str]], width: float) -> list[list[tuple[float, str]]]:
    """Return events, ascending, in groups that are at most ``width`` wide."""
    groups: list[list[tuple[float, str]]] = []
    for event in events:
        if groups and event[0] - groups[-1][0][0] < width:
            groups[-1].append(event)
        else:
            groups.append([event])
    return groups


def _make_room(axes: Axes) -> None:
    if axes.get_yscale() == "linear":
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom, top + _ROOM * (top - bottom))


def _badge(axes: Axes, at: float, letters: str) -> None:
    axes.annotate(
        letters,
        (at, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, -1),
        textcoords="offset points",
        va="top",
        ha="center",
        fontsize=9,
        color=INK,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8},
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
