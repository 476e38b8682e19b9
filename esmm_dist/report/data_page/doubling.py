"""Counts in bins that double: 0, 1, 2-3, 4-7, 8-15, ..., so that short and very long lists fit into one picture."""

from collections.abc import Sequence

from esmm_dist.report.data_page.texts import ratio
from esmm_dist.report.data_statistics.statistics import CountHistogram


def doubling_bins(histograms: Sequence[CountHistogram]) -> list[int]:
    """Return the lower ends of the bins that hold all counts of some histograms: 0, 1, 2, 4, 8, ..."""
    most = max((max(each.counts, default=0) for each in histograms), default=0)
    return [0] + [1 << power for power in range(max(int(most), 1).bit_length())]


def shares_of_bins(histogram: CountHistogram, lows: Sequence[int]) -> list[float]:
    """Return the share of the things in each bin; nan where there is no thing.

    A count above 100 stands for a bin of its own, by its lower end, and goes where this end is.
    """
    things = [0] * len(lows)
    for count, here in zip(histogram.counts, histogram.things, strict=True):
        things[min(int(count).bit_length(), len(lows) - 1)] += here
    return [ratio(each, histogram.total) for each in things]


def bin_name(low: int) -> str:
    """Return a bin as a reader sees it: ``4–7``."""
    return str(low) if low < 2 else f"{_short(low)}–{_short(2 * low - 1)}"


def _short(count: int) -> str:
    return str(count) if count < 1000 else f"{count / 1024:.0f}k"


def share_of_at_least(histogram: CountHistogram) -> tuple[list[int], list[float]]:
    """Return ascending counts from 1, and the share of the things whose count is at least so large."""
    left = histogram.total
    counts, shares = [], []
    for count, here in zip(histogram.counts, histogram.things, strict=True):
        if count >= 1:
            counts.append(int(count))
            shares.append(ratio(left, histogram.total))
        left -= here
    return counts, shares


def median(histogram: CountHistogram) -> int:
    """Return the least count that half of the things do not exceed; 0 without a thing."""
    seen = 0
    for count, here in zip(histogram.counts, histogram.things, strict=True):
        seen += here
        if 2 * seen >= histogram.total:
            return int(count)
    return 0
