"""How many things have which count, from the counts themselves to a histogram that a picture can show."""

import numpy as np

from esmm_dist.arrays import F64, I64
from esmm_dist.kernels.id_counts import add_lengths
from esmm_dist.report.data_statistics.statistics import CountHistogram

_APART = 100
_STEPS = (100, 125, 160, 200, 250, 320, 400, 500, 640, 800)  # about 1.25 times the one before


class CountTally:
    """Adds up how many things have each count, in memory for the largest count."""

    def __init__(self) -> None:
        """Know of nothing yet."""
        self._things = np.zeros(_APART + 1, np.int64)

    def add(self, counts: I64, things: I64) -> None:
        """Add things.

        Args:
            counts: int64 [n], 0 or more
            things: int64 [n], how many have each count
        """
        largest = int(counts.max(initial=0))
        if largest >= len(self._things):
            self._things = np.concatenate([self._things, np.zeros(largest + 1 - len(self._things), np.int64)])
        add_lengths(counts, things, self._things)

    @property
    def without(self) -> int:
        """Things whose count is 0."""
        return int(self._things[0])

    @property
    def sum(self) -> int:
        """Counts of all things, added up."""
        return int(self._things @ np.arange(len(self._things)))

    def histogram(self) -> CountHistogram:
        """Return the histogram."""
        counts = np.flatnonzero(self._things)
        return count_histogram(counts, self._things[counts].astype(np.float64))


def count_histogram(counts: I64, things: F64) -> CountHistogram:
    """Return the histogram of counts, those above 100 in bins.

    Args:
        counts: int64 [n], in any order, some more than once
        things: float64 [n], (estimated) things that have each count
    """
    order = np.argsort(counts, kind="stable")
    counts, things = counts[order], things[order]
    total = float(things.sum())
    if not total:
        return CountHistogram(counts=[], things=[], total=0, mean=0.0, p99=0)
    reached = np.cumsum(things)
    p99 = counts[min(int(np.searchsorted(reached, 0.99 * total * (1 - 1e-12))), len(counts) - 1)]
    ends = bin_begins(int(counts[-1]))
    bins = np.searchsorted(ends, counts, side="right") - 1
    sums = np.bincount(bins, weights=things, minlength=len(ends))
    shown = np.flatnonzero(sums)
    return CountHistogram(
        counts=ends[shown].tolist(),
        things=[round(each) for each in sums[shown].tolist()],
        total=round(total),
        mean=float((counts * things).sum() / total),
        p99=int(p99),
    )


def bin_begins(largest: int) -> I64:
    """Return where the bins of counts begin, up to the one with the largest: int64 [bins], ascending from 0."""
    begins = list(range(_APART + 1))
    factor = 1
    while begins[-1] < largest:
        begins += [step * factor for step in _STEPS if step * factor > begins[-1]]
        factor *= 10
    found = np.array(begins, np.int64)
    return found[found <= max(largest, 0)]
