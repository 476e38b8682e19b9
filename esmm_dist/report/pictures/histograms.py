"""Histograms of two classes on one axis."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from esmm_dist.arrays import Array
from esmm_dist.report.pictures.numbers_shown import show_percent
from esmm_dist.report.pictures.shown_text import cut
from esmm_dist.report.pictures.style import series_style


def class_histogram(
    axes: Axes,
    edges: Sequence[float] | Array,
    classes: Sequence[tuple[str, Sequence[float] | Array]],
    *,
    as_shares: bool = True,
) -> None:
    """Draw the histogram of each class as a filled outline over the same bins; the legend is the caller's.

    Args:
        axes: where to draw
        edges: ascending, [E + 1] for E bins
        classes: (name, things in each bin [E]), of 1 to 4 classes
        as_shares: whether a bin's height is its share of the class (so that a rare class is seen), not its things
    """
    for place, (name, things) in enumerate(classes):
        heights = np.asarray(things, float)
        total = heights.sum()
        if as_shares:
            heights = heights / total if total > 0 else np.zeros_like(heights)
        style = series_style(place)
        colour, line = style.colour, style.line
        axes.stairs(heights, np.asarray(edges, float), fill=True, color=colour, alpha=0.2, linewidth=0)
        axes.stairs(
            heights,
            np.asarray(edges, float),
            color=colour,
            linestyle=line,
            linewidth=1.6,
            label=cut(name),
            baseline=None,
        )
    axes.set_ylim(bottom=0)
    if as_shares:
        show_percent(axes.yaxis)
