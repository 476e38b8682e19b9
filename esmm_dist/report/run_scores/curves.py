"""Histograms and gain curves of a task, from its impressions in the order of their scores.

``LabelTreeMetrics`` sorts all impressions of a task once, on disk if it must, and hands them over block by block. So
the gain is exact, and the memory is that of a block.
"""

from fractions import Fraction

import numpy as np

from esmm_dist.arrays import F64, Bools
from esmm_dist.report.run_scores.scores import GainCurve, ScoreHistogram

GAIN_SHARES: tuple[float, ...] = (
    0.0,
    *(round(each * 0.001, 3) for each in range(1, 10)),
    *(round(each * 0.005, 3) for each in range(2, 10)),
    *(round(each * 0.01, 2) for each in range(5, 101)),
)
"""Shares of impressions of a gain curve: finer where the highest predictions are."""

_BINS_PER_UNIT = 16
_LOWEST, _HIGHEST = -24.0, 16.0
_MOST_BINS = 40
_LEFT_OUT = 0.0005
"""Share of a label's impressions at each end that may be outside the shown bins: few do not squash the rest."""


class ScoreCurves:
    """Collects what a histogram and a gain curve need."""

    def __init__(self, total_weight: Fraction) -> None:
        """Begin with no impression.

        Args:
            total_weight: sum of the weights of all impressions that will be added
        """
        inner = np.linspace(_LOWEST, _HIGHEST, round((_HIGHEST - _LOWEST) * _BINS_PER_UNIT) + 1)
        self._edges = inner
        self._log_edges = -np.logaddexp(0.0, -inner[1:-1])  # log p at a logit
        self._positives, self._negatives = np.zeros(len(inner) - 1), np.zeros(len(inner) - 1)
        self._total = float(total_weight)
        self._thresholds = (1.0 - np.array(GAIN_SHARES[::-1])) * self._total
        """Weights of impressions from the lowest prediction on, ascending."""
        self._below = np.zeros(len(self._thresholds))
        """Weight of the positives among them."""
        self._done = 0.0, 0.0
        """Weight of all impressions, and of positives, of lower predictions than the one at hand."""
        self._tie: tuple[float, float, float] | None = None
        """The prediction at hand, and weights of its impressions and positives: the next block may go on with it."""

    def add(self, log_probabilities: F64, positive: Bools, weights: F64 | None) -> None:
        """Add a block of impressions, as in ``ScoreSums``."""
        if not len(positive):
            return
        weight = np.ones(len(positive)) if weights is None else weights
        of_positives = np.where(positive, weight, 0.0)
        self._add_to_histogram(log_probabilities, weight, of_positives)
        begins = np.flatnonzero(np.append(True, log_probabilities[1:] != log_probabilities[:-1]))
        ties, positives = np.add.reduceat(weight, begins), np.add.reduceat(of_positives, begins)
        if self._tie is not None:
            if self._tie[0] == log_probabilities[0]:
                ties[0] += self._tie[1]
                positives[0] += self._tie[2]
            else:
                ties, positives = np.append(self._tie[1], ties), np.append(self._tie[2], positives)
        self._tie = float(log_probabilities[-1]), float(ties[-1]), float(positives[-1])
        self._pass(ties[:-1], positives[:-1])

    def histogram(self) -> ScoreHistogram:
        """Return the impressions in at most 40 bins of one width, over the predictions that nearly all have."""
        edges = self._edges
        ranges = [_used_bins(each) for each in (self._positives, self._negatives) if each.any()]
        if not ranges:
            return ScoreHistogram(edges=(-1.0, 0.0), positives=(0.0,), negatives=(0.0,))
        first, last = min(begin for begin, _ in ranges), max(end for _, end in ranges)
        width = 1
        while last // width - first // width + 1 > _MOST_BINS:
            width *= 2
        begins = np.arange(first // width, last // width + 1) * width
        merged = [np.add.reduceat(each, np.append(0, begins[1:])) for each in (self._positives, self._negatives)]
        shown = np.append(edges[begins], edges[min(int(begins[-1]) + width, len(edges) - 1)])
        return ScoreHistogram(edges=shown.tolist(), positives=merged[0].tolist(), negatives=merged[1].tolist())

    def gain(self) -> GainCurve:
        """Return the exact gain; impressions of one prediction stand in the mean of all their orders."""
        if self._tie is not None:
            self._pass(np.array([self._tie[1]]), np.array([self._tie[2]]))
            self._tie = None
        positives = self._done[1]
        shares = np.array(GAIN_SHARES)
        if not positives:
            none = (float("nan"),) * len(shares)
            return GainCurve(share_of_impressions=GAIN_SHARES, share_of_positives=none, best_share_of_positives=none)
        above = (positives - self._below[::-1]) / positives
        above[0], above[-1] = 0.0, 1.0  # the sum of the weights may miss the last threshold by a rounding
        best = np.minimum(shares * self._total / positives, 1.0)
        return GainCurve(
            share_of_impressions=GAIN_SHARES,
            share_of_positives=above.clip(0.0, 1.0).tolist(),
            best_share_of_positives=best.tolist(),
        )

    def _add_to_histogram(self, log_probabilities: F64, weight: F64, of_positives: F64) -> None:
        ends = np.searchsorted(log_probabilities, self._log_edges, side="left")
        for counts, values in ((self._positives, of_positives), (self._negatives, weight - of_positives)):
            sums = np.append(0.0, np.cumsum(values))
            counts += np.diff(sums[ends], prepend=0.0, append=sums[-1])

    def _pass(self, ties: F64, positives: F64) -> None:
        """Take impressions whose predictions are all known, in groups of one prediction, ascending."""
        weight = np.append(0.0, np.cumsum(ties)) + self._done[0]
        below = np.append(0.0, np.cumsum(positives)) + self._done[1]
        begin, end = np.searchsorted(self._thresholds, (weight[0], weight[-1]), side="right")
        self._below[begin:end] = np.interp(self._thresholds[begin:end], weight, below)
        self._below[end:] = below[-1]
        self._done = float(weight[-1]), float(below[-1])


def _used_bins(weight: F64) -> tuple[int, int]:
    """Return the first and the last bin that hold nearly all."""
    cumulated = np.cumsum(weight) / weight.sum()
    first = int(np.searchsorted(cumulated, _LEFT_OUT, side="right"))
    return first, max(first, int(np.searchsorted(cumulated, 1 - _LEFT_OUT, side="left")))
