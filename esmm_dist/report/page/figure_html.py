"""A picture in a page: its sentence, its SVGs, how to read it."""

import html

from esmm_dist.report.pictures.panels import PANEL_INCHES
from esmm_dist.report.pictures.picture import Picture

_NARROW_INCHES = 1.3 * PANEL_INCHES[0]


def is_narrow(picture: Picture) -> bool:
    """Whether two such pictures can stand beside one another."""
    return picture.columns == 1 and picture.inches <= _NARROW_INCHES


def figure_lines(picture: Picture) -> list[str]:
    """Return the lines of a picture."""
    title = html.escape(picture.title)
    svgs = picture.svgs()
    rem = 6 * picture.inches  # 96 px an inch, 16 px a rem
    if picture.columns > 1:
        canvas = f'<div class="panels" style="--columns: {picture.columns}" role="img" aria-label="{title}">'
    elif is_narrow(picture):
        canvas = f'<div class="canvas" style="--inches: {rem:g}rem" role="img" aria-label="{title}">'
    else:  # a narrow page scrolls it, and keys must reach what scrolls
        canvas = f'<div class="canvas wide" style="--inches: {rem:g}rem" role="img" aria-label="{title}" tabindex="0">'
    return [
        f'<figure id="{picture.name}">',
        f"<figcaption><h3>{title}</h3></figcaption>",
        canvas,
        *svgs,
        "</div>",
        f'<p class="how">How to read: {html.escape(picture.how_to_read)}</p>',
        "</figure>",
    ]
