"""The look that all pictures share.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which people who see fewer colours tell apart.
In grey print some of them are alike, so that each series also has a line style, a mark and a hatch of its own.
"""

from dataclasses import dataclass
from typing import Any

INK, MUTED, GRID, PAPER = "#1b1f24", "#57606a", "#d8dee4", "#fefefe"
"""Text and axes; less important text; lines of the grid; what a picture is drawn on."""

SERIES_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours on a light page, in the order of series."""

DARK = {
    INK: "#e6edf3",
    MUTED: "#9aa4af",
    GRID: "#30363d",
    PAPER: "#0f1419",
    "#0072b2": "#4fa3dc",
    "#d55e00": "#ff8c42",
    "#009e73": "#2fc79b",
    "#cc79a7": "#e3a0c4",
    "#e69f00": "#f7d65a",
    "#56b4e9": "#9fd3f5",
}
"""For each colour, the one that takes its place on a dark page."""

_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
_MARKS = ("o", "s", "^", "D", "v", "P")
_HATCHES = ("", "//", "xx", "\\\\", "--", "||")
"""Lines only: a hatch of dots makes an SVG 270 KB larger, one of lines 1 KB."""


@dataclass(frozen=True, kw_only=True)
class SeriesStyle:
    """How one series is drawn, whatever the picture."""

    colour: str
    line: Any
    """Line style, as matplotlib takes it."""
    mark: str
    hatch: str


def series_style(place: int) -> SeriesStyle:
    """Return the style of a series by its place, from 0; after the last colour they begin again with other lines."""
    turn = place // len(SERIES_COLOURS)
    return SeriesStyle(
        colour=SERIES_COLOURS[place % len(SERIES_COLOURS)],
        line=_LINES[(place + turn) % len(_LINES)],
        mark=_MARKS[(place + turn) % len(_MARKS)],
        hatch=_HATCHES[(place + turn) % len(_HATCHES)],
    )


RC: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.fonttype": "none",
    "text.parse_math": False,  # names of fields and values hold what they hold, "$" too
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "hatch.color": PAPER,
    "hatch.linewidth": 1.2,
}
"""Settings of matplotlib for all pictures."""


def line_of(place: int) -> dict[str, Any]:
    """Return what ``Axes.plot`` takes to draw a series by its place: colour, line style, mark."""
    style = series_style(place)
    return {"color": style.colour, "linestyle": style.line, "marker": style.mark}


def bar_of(place: int) -> dict[str, Any]:
    """Return what ``Axes.bar`` and ``Axes.barh`` take to draw a series by its place: colour and hatch."""
    style = series_style(place)
    return {"color": style.colour, "hatch": style.hatch, "edgecolor": style.colour, "linewidth": 0.6}
