"""Horizontal bars with long labels, errors and numbers at their ends."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from esmm_dist.report.pictures.numbers_shown import NONE
from esmm_dist.report.pictures.shown_text import cut, cut_apart
from esmm_dist.report.pictures.style import INK, MUTED, bar_of

_BAR = 0.72
"""Height of a bar, or of a group of bars, of the room that it has."""
_LABEL_LETTERS = 28
ROW_INCHES = 0.26
"""Height that a bar with its label needs."""


def bars_height(bars: int, groups: int = 1) -> float:
    """Return the ``height`` of ``new_figure`` for so many horizontal bars, each a group of ``groups``."""
    return (0.75 + ROW_INCHES * max(bars, 1) * max(1.0, 0.8 * groups)) / 3.0


def horizontal_bars(
    axes: Axes,
    labels: Sequence[str],
    values: Sequence[float],
    *,
    errors: Sequence[float] | None = None,
    text_of: Callable[[float], str] | None = None,
    place: int = 0,
) -> None:
    """Draw a bar for each label, the first at the top. Of a value that is nan there is no bar, and its text is ``–``.

    Args:
        axes: where to draw; the y axis wants a label (``axes.set_ylabel("field")``)
        labels: names, of any text
        values: lengths of the bars
        errors: standard errors, drawn as lines; nan: none
        text_of: gives the text at a bar's end; None: no texts
        place: place of the series, for its colour and hatch
    """
    groups = {"": values}
    _draw(axes, groups, {"": errors} if errors is not None else {}, text_of, place)
    _labels(axes, labels)


def grouped_bars(
    axes: Axes,
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    errors: Mapping[str, Sequence[float]] | None = None,
    text_of: Callable[[float], str] | None = None,
) -> None:
    """Draw a bar for each label and series, the first label and series at the top; the legend is the caller's.

    Args:
        axes: where to draw
        labels: names, of any text
        series: lengths of the bars, by name of the series
        errors: standard errors, by name of the series
        text_of: gives the text at a bar's end; None: no texts
    """
    _draw(axes, series, errors or {}, text_of, 0)
    _labels(axes, labels)


def _draw(
    axes: Axes,
    series: Mapping[str, Sequence[float]],
    errors: Mapping[str, Sequence[float] | None],
    text_of: Callable[[float], str] | None,
    first_place: int,
) -> None:
    one = _BAR / max(1, len(series))
    ends: list[tuple[float, float, float, bool]] = []
    for number, (name, values) in enumerate(series.items()):
        lengths = np.asarray(values, float)
        at = np.arange(len(lengths)) - _BAR / 2 + one * (number + 0.5)
        label: dict[str, Any] = {"label": cut(name)} if name else {}
        axes.barh(at, np.nan_to_num(lengths), height=one * 0.94, **bar_of(first_place + number), **label)
        given = errors.get(name)
        half = np.full(len(lengths), np.nan) if given is None else np.asarray(given, float)
        if np.isfinite(half).any():
            axes.errorbar(lengths, at, xerr=half, fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5)
        reach = np.where(np.isfinite(half), half, 0.0)
        ends += [(length, r, y, math.isnan(length)) for length, r, y in zip(lengths, reach, at, strict=True)]
    axes.grid(visible=False, axis="y")
    if text_of is not None and ends:
        _texts(axes, ends, text_of)


def _texts(axes: Axes, ends: Sequence[tuple[float, float, float, bool]], text_of: Callable[[float], str]) -> None:
    """Write the numbers at the bars' ends, and make room for them."""
    longest = 0
    for length, reach, y, is_none in ends:
        text = NONE if is_none else text_of(length)
        longest = max(longest, len(text))
        is_left = not is_none and length < 0
        end = 0.0 if is_none else (length - reach if is_left else length + reach)
        axes.annotate(
            text,
            (end, y),
            xytext=(-3 if is_left else 3, 0),
            textcoords="offset points",
            va="center",
            ha="right" if is_left else "left",
            fontsize=9,
            color=MUTED if is_none else INK,
            annotation_clip=False,
        )
    low, high = axes.get_xlim()
    room = 0.022 * longest * (high - low) + 0.01 * (high - low)
    has_left = any(length < 0 for length, *_ in ends)
    if axes.get_xscale() == "linear":
        axes.set_xlim(low - room if has_left else low, high + room)


def _labels(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), cut_apart(list(labels), _LABEL_LETTERS))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(len(labels), 1) - 0.4, -0.6)
