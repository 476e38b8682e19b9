"""What calibration adds up over impressions, by bin of their logits.

Each sum is a pair (sum, compensation) whose total has about twice the digits of a float64 (Neumaier, see
``sorted_scores.py``), so that it does not depend on the order of impressions.
"""

from esmm_dist.arrays import F64, I64, Bools
from esmm_dist.kernels.compiled import kernel

HIGHEST = 32.0
"""Bins reach from -32 to 32; a probability of 1e-14 decides nothing."""
BINS_PER_UNIT = 256.0
"""A bin is 1/256 wide: odds within it differ by 0.4%, and with the mean of its logits the second-order error of a sum
of probabilities is 6e-7."""
NUM_BINS = 16_384

POSITIVE_WEIGHT, NEGATIVE_WEIGHT, WEIGHTED_LOGIT = 0, 1, 2
"""Σ w over positives, Σ w over negatives, Σ w logit"""
NUM_BIN_SUMS = 3


@kernel("void(float64[:, :, ::1], int64, int64, float64)", makes_arrays=False)
def _add(sums: F64, row: int, place: int, value: float) -> None:
    before = sums[row, place, 0]
    total = before + value
    if abs(before) >= abs(value):
        sums[row, place, 1] += (before - total) + value
    else:
        sums[row, place, 1] += (value - total) + before
    sums[row, place, 0] = total


@kernel(
    "void(float64[::1], boolean[::1], float64[::1], int64[:, ::1], float64[:, :, ::1])",
    makes_arrays=False,
)
def fold_bins(logits: F64, positive: Bools, weights: F64, counts: I64, sums: F64) -> None:
    """Add impressions. A logit beyond the bins counts as the bound that it is beyond.

    Args:
        logits: float64 [n], no NaN
        positive: bool [n]
        weights: float64 [n], 0 or more
        counts: int64 [NUM_BINS, 2], changed: negatives and positives
        sums: float64 [NUM_BINS, 3, 2], changed
    """
    for i in range(len(logits)):
        logit = min(max(logits[i], -HIGHEST), HIGHEST)
        row = min(int((logit + HIGHEST) * BINS_PER_UNIT), NUM_BINS - 1)
        weight = weights[i]
        counts[row, int(positive[i])] += 1
        _add(sums, row, POSITIVE_WEIGHT if positive[i] else NEGATIVE_WEIGHT, weight)
        _add(sums, row, WEIGHTED_LOGIT, weight * logit)
