"""A picture in a page: its sentence, its SVGs, how to read it."""

import base64
import html

from esmm_dist.report.pictures.panels import PANEL_INCHES
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.png_file import plain_png

_NARROW_INCHES = 1.3 * PANEL_INCHES[0]
_LEAST_SCALE = 0.74
"""Size of a panel beside another one, at least: text of 9 points is 9 pixels high then."""


def is_narrow(picture: Picture) -> bool:
    """Whether two such pictures can stand beside one another."""
    return picture.columns == 1 and picture.inches <= _NARROW_INCHES


def figure_lines(picture: Picture, *, as_png: bool = False) -> list[str]:
    """Return the lines of a picture; as PNG it looks the same on a dark page as on a light one."""
    title = html.escape(picture.title)
    if as_png:
        svgs = [f'<img alt="" src="data:image/png;base64,{base64.b64encode(plain_png(picture.figure)).decode()}">']
    else:
        svgs = picture.svgs()
    return [
        f'<figure id="{picture.name}">',
        f"<figcaption><h3>{title}</h3></figcaption>",
        "<div>",
        f'<div {_canvas(picture, as_png)} role="img" aria-label="{title}">',
        *svgs,
        "</div>",
        f'<p class="how">How to read: {html.escape(picture.how_to_read)}</p>',
        "</div>",
        "</figure>",
    ]


def _canvas(picture: Picture, as_png: bool) -> str:
    """Return how a picture lies in the page: panels that flow, or one figure, which scrolls if it is wide."""
    rem = 6 * picture.inches  # 96 px an inch, 16 px a rem
    if picture.columns > 1 and not as_png:
        least = _LEAST_SCALE * rem / picture.columns
        return f'class="panels" style="--columns: {picture.columns}; --least: {least:.3g}rem"'
    if is_narrow(picture):
        return f'class="canvas" style="--inches: {rem:g}rem"'
    return f'class="canvas wide" style="--inches: {rem:g}rem" tabindex="0"'  # keys must reach what scrolls
