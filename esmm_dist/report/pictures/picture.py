"""One picture: a figure of matplotlib with what a reader needs to understand it.

::

    figure, axes = new_figure(columns=2)            # in the house's style; inches, not pixels
    axes[0, 0].plot(steps, auc, **line_of(0))
    axes[0, 0].set_xlabel("training step"); axes[0, 0].set_ylabel("AUC")
    Picture(name="learning-curve", title="CTR's AUC still rises at the last step.", how_to_read="...", figure=figure,
            numbers={...})
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from esmm_dist.report.pictures.style import DARK, RC, series_style

PANEL_INCHES = (4.6, 3.0)
"""Width and height of one panel."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_DPI = 130


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure that can stand alone.

    Raises:
        ValueError: The title is no sentence, there is no line on how to read it, or an axis has no label (with its
            unit) or no number behind it.
    """

    name: str
    """Unique in a page: name of the PNG file and anchor. Lower case, digits, hyphens."""

    title: str
    """A sentence that says what the picture shows, with its full stop."""

    how_to_read: str
    """What a mark, a line, a band is; for a reader who sees such a picture for the first time."""

    figure: Figure

    numbers: Mapping[str, Any] = field(default_factory=dict)
    """The numbers that are drawn, as plain values, for ``--json`` and tests."""

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise ValueError(f"The picture's name is '{self.name}'; lower case, digits and hyphens are allowed.")
        for what, text in (("title", self.title), ("how_to_read", self.how_to_read)):
            if not text.strip().endswith((".", "?", "!")):
                raise ValueError(f"{what} of picture '{self.name}' is '{text}': write a sentence, with its full stop.")
        if not self.numbers:
            raise ValueError(f"Picture '{self.name}' does not say the numbers that it draws.")
        drawn = [axes for axes in self.figure.axes if axes.get_visible() and axes.axison]
        for axes in drawn:
            if not axes.get_xlabel() or not axes.get_ylabel():
                raise ValueError(f"An axis of picture '{self.name}' has no label. Say what it is, with its unit.")

    def png(self) -> bytes:
        """Return it as a PNG file, as on a light page."""
        written = io.BytesIO()
        with matplotlib.rc_context(dict(RC)):
            self.figure.savefig(written, format="png", dpi=_DPI)
        return written.getvalue()

    def svg(self) -> str:
        """Return it as an SVG element whose colours follow the page's (``var(--x0072b2)``); the same text each time."""
        written = io.StringIO()
        with matplotlib.rc_context({**RC, "svg.hashsalt": self.name}):
            self.figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
        text = written.getvalue()
        text = text[text.index("<svg") :]
        for colour in DARK:
            text = text.replace(colour, f"var(--x{colour[1:]})")
        return text


def new_figure(
    *, rows: int = 1, columns: int = 1, width: float = 1.0, height: float = 1.0, **shared: Any
) -> tuple[Figure, Any]:
    """Return an empty figure in the house's style, and its axes, an array [rows, columns].

    Args:
        rows: panels below one another
        columns: panels beside one another
        width: width of a panel, in panels
        height: height of a panel, in panels
        shared: ``sharex`` and ``sharey``, as matplotlib takes them
    """
    with matplotlib.rc_context(dict(RC)):
        size = (PANEL_INCHES[0] * columns * width, PANEL_INCHES[1] * rows * height)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **shared)
    return figure, axes


def line_of(place: int) -> dict[str, Any]:
    """Return what ``Axes.plot`` takes to draw a series by its place: colour, line style, mark."""
    style = series_style(place)
    return {"color": style.colour, "linestyle": style.line, "marker": style.mark}


def bar_of(place: int) -> dict[str, Any]:
    """Return what ``Axes.bar`` and ``Axes.barh`` take to draw a series by its place: colour and hatch."""
    style = series_style(place)
    return {"color": style.colour, "hatch": style.hatch, "edgecolor": style.colour, "linewidth": 0.6}
