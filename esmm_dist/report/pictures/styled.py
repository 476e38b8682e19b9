"""Figures and axes that draw in the house's style, whoever calls them and when.

matplotlib reads its settings at the moment when a title, a legend or a bar is made, so that a style that holds only
while a figure is made is lost for what comes later. Here each method that draws brings the style with it; the settings
of the process stay as they are.
"""

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axes._base import _AxesBase
from matplotlib.axis import Axis
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import NullFormatter

from esmm_dist.report.pictures.style import RC

_NOT_SHOWN = "_nolegend_"
_NO_WIDTH = "\u200b"
_IN_STYLE: ContextVar[bool] = ContextVar("_IN_STYLE", default=False)


@contextmanager
def house_style(**more: Any) -> Iterator[None]:
    """Draw in the house's style, and in ``more`` settings of matplotlib, while it is entered. It is not thread-safe."""
    token = _IN_STYLE.set(True)
    settings: Any = {**RC, **more}
    try:
        with matplotlib.rc_context(settings), warnings.catch_warnings():
            # a field may be named in letters that the font of PNG files lacks; browsers have them
            warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from")
            yield
    finally:
        _IN_STYLE.reset(token)


def forget_layout(figure: Figure) -> None:
    """Put panels where they were before anything was drawn: the layout goes on from where they are.

    Without it the same figure differs in hundredths of a point from one drawing to the next.
    """
    for axes in figure.axes:
        spec = axes.get_subplotspec()
        if spec is not None:
            axes.set_subplotspec(spec)  # reset_position would take them out of the layout


def _in_style(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **keywords: Any) -> Any:
        if _IN_STYLE.get():
            return method(*args, **keywords)
        label = keywords.get("label")
        if isinstance(label, str) and label.startswith("_") and label != _NOT_SHOWN:
            keywords["label"] = _NO_WIDTH + label  # matplotlib leaves such labels out of legends
        with house_style():
            return method(*args, **keywords)

    return call


def _draws_in_style(*bases: type) -> Callable[[type], type]:
    """Return a decorator that brings the style to the public methods of a class that its bases define."""

    def decorate(cls: type) -> type:
        for base in bases:
            for name, found in vars(base).items():
                is_method = callable(found) and not isinstance(found, type | staticmethod | classmethod)
                if is_method and not name.startswith(("_", "get_", "draw", "savefig")):
                    setattr(cls, name, _in_style(getattr(cls, name)))
        return cls

    return decorate


@_draws_in_style(_AxesBase, Axes)
class StyledAxes(Axes):
    """Axes in the house's style; logarithmic ones have plain numbers."""

    def set_xscale(self, value: Any, **keywords: Any) -> None:
        """Set the scale of x."""
        super().set_xscale(value, **keywords)
        _plain_numbers(self.xaxis)

    def set_yscale(self, value: Any, **keywords: Any) -> None:
        """Set the scale of y."""
        super().set_yscale(value, **keywords)
        _plain_numbers(self.yaxis)


def _plain_numbers(axis: Axis) -> None:
    """Show 1,000 where matplotlib would show a formula, which it writes in TeX."""
    if axis.get_scale() != "linear":
        axis.set_major_formatter(_thousands)
        axis.set_minor_formatter(NullFormatter())


def _thousands(value: float, _place: float | None = None) -> str:
    if abs(value) >= 1 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1e-6 else f"{value:.9f}".rstrip("0")


@_draws_in_style(FigureBase, Figure)
class StyledFigure(Figure):
    """A figure in the house's style."""

    def add_subplot(self, *args: Any, **keywords: Any) -> Any:
        """Add axes in the house's style."""
        if not args or not isinstance(args[0], Axes):
            keywords.setdefault("axes_class", StyledAxes)
        return super().add_subplot(*args, **keywords)
