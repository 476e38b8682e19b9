"""A picture as a PNG file: title, figure, and how to read it, below one another."""

import io
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from PIL import Image

from esmm_dist.arrays import Array
from esmm_dist.report.pictures.style import INK, MUTED
from esmm_dist.report.pictures.styled import StyledFigure, forget_layout, house_style

_DPI = 130
_RENDERER: Any = RendererAgg  # has no types
_MARGIN_INCHES = 0.12
_LINE_HEIGHT = 1.3
_TITLE_POINTS, _TEXT_POINTS = 11.5, 9.0


def titled_png(figure: Figure, title: str, how_to_read: str) -> bytes:
    """Return a figure as a PNG file between its title and how to read it, both in lines as wide as it."""
    with house_style():
        width = float(figure.get_figwidth())
        parts = [
            _text(title, width, FontProperties(size=_TITLE_POINTS, weight="bold"), INK),
            _pixels(figure),
            _text("How to read: " + how_to_read, width, FontProperties(size=_TEXT_POINTS), MUTED),
        ]
    return _file(np.concatenate(parts))


def plain_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file."""
    with house_style():
        return _file(_pixels(figure))


def _pixels(figure: Figure) -> Array:
    """Return what a figure looks like, uint8 [height, width, 3]."""
    canvas: Any = FigureCanvasAgg(figure)
    dpi = figure.dpi
    try:
        figure.set_dpi(_DPI)
        forget_layout(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()
    finally:
        figure.set_dpi(dpi)


def _text(text: str, width: float, font: FontProperties, colour: str) -> Array:
    """Return a text as an image as wide as ``width`` inches, uint8 [height, width, 3]."""
    lines = _wrapped(text, width - 2 * _MARGIN_INCHES, font)
    line_inches = font.get_size_in_points() * _LINE_HEIGHT / 72
    height = len(lines) * line_inches + _MARGIN_INCHES
    figure = StyledFigure(figsize=(width, height))
    for place, line in enumerate(lines):
        top = 1 - (_MARGIN_INCHES / 2 + place * line_inches) / height
        figure.text(_MARGIN_INCHES / width, top, line, va="top", color=colour, fontproperties=font)
    return _pixels(figure)


def _wrapped(text: str, width: float, font: FontProperties) -> list[str]:
    """Return a text in lines that are at most ``width`` inches wide; a word that is wider stands alone."""
    renderer: Any = _RENDERER(8, 8, 72)
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and renderer.get_text_width_height_descent(longer, font, ismath=False)[0] <= 72 * width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _file(pixels: Array) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, format="png", optimize=True)
    return written.getvalue()
