"""One picture: a figure of matplotlib with what a reader needs to understand it.

::

    figure, axes = new_figure(columns=2)            # in the house's style; inches, not pixels
    axes[0, 0].plot(steps, auc, **line_of(0))
    axes[0, 0].set_xlabel("training step"); axes[0, 0].set_ylabel("AUC")
    Picture(name="learning-curve", title="CTR's AUC still rises at the last step.", how_to_read="...", figure=figure,
            numbers={...})

A PNG is sent alone: it holds the title and how to read it. A page has both as texts, and has the panels of a figure of
several columns as an SVG each, which stand below one another where a page is narrow.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from esmm_dist.report.pictures.panels import apart, new_figure, panel_columns
from esmm_dist.report.pictures.png_file import titled_png
from esmm_dist.report.pictures.style import bar_of, line_of
from esmm_dist.report.pictures.styled import forget_layout, house_style
from esmm_dist.report.pictures.svg_text import page_svg

__all__ = ["Picture", "bar_of", "line_of", "new_figure"]

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


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

    @property
    def columns(self) -> int:
        """SVGs that stand beside one another where a page is wide enough; 1: there is one SVG."""
        return panel_columns(self.figure)

    @property
    def inches(self) -> float:
        """Width of the figure."""
        return float(self.figure.get_figwidth())

    def png(self) -> bytes:
        """Return it as a PNG file, as on a light page, with its title and how to read it."""
        return titled_png(self.figure, self.title, self.how_to_read)

    def svgs(self) -> list[str]:
        """Return it as SVG elements, one a panel if there are ``columns``; the same text each time.

        Their colours follow the page's (``var(--x0072b2)``).
        """
        if self.columns == 1:
            return [self._svg(self.name)]
        return [self._svg(f"{self.name}-{place}") for place in apart(self.figure)]

    def _svg(self, salt: str) -> str:
        """Return the figure as it is now; names in it begin with a hash of ``salt``."""
        written = io.StringIO()
        with house_style(**{"svg.hashsalt": salt}):
            forget_layout(self.figure)
            self.figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
        return page_svg(written.getvalue())
