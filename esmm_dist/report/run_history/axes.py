"""What the pictures of a run's course share: axes of steps, confidence intervals, means of neighbours."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from esmm_dist.report.pictures.numbers_shown import show_whole
from esmm_dist.report.pictures.style import MUTED

ERRORS_OF_95_PERCENT = 1.96
"""Standard errors on each side of a 95% confidence interval, of a normal distribution."""

MOST_SERIES = 6
"""Runs, or tables, that one panel shows."""

_MARKED = 40
"""Points up to which each has a mark."""


def step_axis(axes: Any, *, label: str = "training step") -> None:
    """Make the x axis one of steps."""
    axes.set_xlabel(label)
    show_whole(axes.xaxis)


def without_marks_if_many(style: dict[str, Any], points: int) -> dict[str, Any]:
    """Return a line's style, without marks where there are so many points that they hide the line."""
    return {**style, "marker": None} if points > _MARKED else style


def say_in(axes: Any, text: str) -> None:
    """Write into an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED, fontsize=9, wrap=True)
    axes.set_xticks([])
    axes.set_yticks([])


def moving_mean(values: Sequence[float]) -> tuple[list[float], int]:
    """Return the mean of each value and its neighbours, and how many these are: a twelfth of all, an odd number.

    At both ends there are fewer. nan is left out.
    """
    width = max(1, len(values) // 12) | 1
    found = np.asarray(values, dtype=np.float64)
    known = np.isfinite(found)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, found, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    places = np.arange(len(found))
    first, last = np.maximum(places - width // 2, 0), np.minimum(places + width // 2 + 1, len(found))
    number = counts[last] - counts[first]
    means = np.where(number > 0, (sums[last] - sums[first]) / np.maximum(number, 1), np.nan)
    return means.tolist(), width
