"""Count impressions by bin of their logits, in memory that does not grow with them.

A calibration of two numbers, or of a few hundred steps, needs no more of a million impressions than how many of each
bin have the label. The counts and sums do not depend on batches, their order or the number of ranks
(``kernels/binned_sums.py``), so neither does what is fitted on them.
"""

import math
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F64, I64, Array, Bools
from esmm_dist.kernels import binned_sums as kernels
from esmm_dist.ranks.world import World
from esmm_dist.schema.label_tree import LabelTree

FEWEST_OF_A_CLASS = 20
"""Positives, and negatives, that a label is calibrated with, and each part of an isotonic curve: ten for each number of
a line (Peduzzi et al., "A simulation study of the number of events per variable in logistic regression analysis",
1996)."""

_ROW = np.dtype([("bin", "<i8"), ("counts", "<i8", (2,)), ("sums", "<f8", (kernels.NUM_BIN_SUMS, 2))])


@dataclass(frozen=True, kw_only=True)
class LabelCounts:
    """Impressions of one label, together with those of almost the same logit."""

    logits: F64
    """float64 [n], ascending: the mean logit of each bin"""
    positive: F64
    """float64 [n]: weight of the impressions of each bin that have the label"""
    negative: F64
    """float64 [n]: weight of those that do not"""
    impressions: int
    positives: int

    @property
    def weights(self) -> F64:
        """float64 [n]: weight of each bin, above 0."""
        return self.positive + self.negative

    def predicted_over_happened(self, calibrated: F64) -> float | None:
        """Return the sum of predictions over the sum of labels; None without a positive.

        Args:
            calibrated: float64 [n], the logits whose probabilities are the predictions
        """
        happened = float(self.positive.sum())
        predicted = float((self.weights * sigmoid(calibrated)).sum())
        return predicted / happened if happened else None


class LabelTreeCounts:
    """Counts the impressions of a label tree: for each label those where the label before it is 1."""

    def __init__(self, tree: LabelTree) -> None:
        """Begin with no impression."""
        self._tree, num_labels = tree, len(tree.names)
        self._counts = np.zeros((num_labels, kernels.NUM_BINS, 2), np.int64)
        self._sums = np.zeros((num_labels, kernels.NUM_BINS, kernels.NUM_BIN_SUMS, 2))

    def add(self, labels: Array, logits: F64, weights: Array | None) -> None:
        """Add impressions.

        Args:
            labels: 0/1 [B, K], never 1 where the label before is 0
            logits: float64 [B, K] of the conditional probabilities, no NaN
            weights: float [B], sample weights; None: 1 each
        """
        positive = labels == 1
        weight = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
        for k, parent in enumerate(self._tree.parents):
            reached: Bools = np.ones(len(labels), np.bool_) if parent < 0 else positive[:, parent]
            columns = (logits[reached, k], positive[reached, k], weight[reached])
            kernels.fold_bins(*columns, self._counts[k], self._sums[k])

    def of_all_ranks(self, world: World) -> list[LabelCounts]:
        """Return the counts of each label over all ranks, the same on each; a collective."""
        return [_whole(*each, world) for each in zip(self._counts, self._sums, strict=True)]


def sigmoid(logits: F64) -> F64:
    """Return the probabilities of logits, float64 [n] each."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -logits)))


def _whole(counts: I64, sums: F64, world: World) -> LabelCounts:
    """Add up a label's counts and sums over ranks. A bin that is not empty travels as the bytes of ``_ROW``."""
    bins = np.flatnonzero(counts.any(axis=1))
    own = np.empty(len(bins), _ROW)
    own["bin"], own["counts"], own["sums"] = bins, counts[bins], sums[bins]
    gathered = np.ascontiguousarray(world.gather(own.view(np.uint8).reshape(len(own), _ROW.itemsize)))
    rows = gathered.reshape(-1).view(_ROW)
    rows = rows[np.argsort(rows["bin"], kind="stable")]
    begins = np.flatnonzero(np.diff(rows["bin"], prepend=-1))
    totals = np.array(
        [
            # rounded once, whatever the order of ranks
            [math.fsum(part[:, place].flat) for place in range(kernels.NUM_BIN_SUMS)]
            for part in np.split(rows["sums"], begins[1:])
            if len(part)
        ]
    ).reshape(-1, kernels.NUM_BIN_SUMS)
    weights = totals[:, kernels.POSITIVE_WEIGHT] + totals[:, kernels.NEGATIVE_WEIGHT]
    totals, weights = totals[weights > 0], weights[weights > 0]
    return LabelCounts(
        logits=totals[:, kernels.WEIGHTED_LOGIT] / weights,
        positive=totals[:, kernels.POSITIVE_WEIGHT],
        negative=totals[:, kernels.NEGATIVE_WEIGHT],
        impressions=int(rows["counts"].sum()),
        positives=int(rows["counts"][:, 1].sum()),
    )
