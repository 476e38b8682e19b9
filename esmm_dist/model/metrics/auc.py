"""The area under the ROC curve, exactly, and how far it can be trusted.

AUC = P(score of a positive > score of a negative) + P(equal) / 2 over all pairs. It follows from ranks, so no
thresholds are needed: with m positives x_i and n negatives y_j, and midranks (tied scores share their mean rank),

    AUC = (Σ_i rank(x_i) - m (m + 1) / 2) / (m n)

Standard errors are those of DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated
receiver operating characteristic curves", Biometrics 44 (1988), equations 4-6. Each positive has the share of negatives
below it, V_i = P(y < x_i) + P(y = x_i) / 2, each negative the share of positives above it, W_j; then

    Var(AUC) = Var(V) / m + Var(W) / n        (sample variances, divisors m - 1 and n - 1)

computed from midranks in O(N log N) as in Sun and Xu, "Fast implementation of DeLong's algorithm", IEEE Signal
Processing Letters 21 (2014). Not Hanley and McNeil (1982): its formula needs only the AUC because it assumes
exponentially distributed scores, and it cannot compare two models on the same impressions, whose errors are strongly
correlated: the difference would look several times less certain than it is.

With sample weights the AUC is that of ``gauc``, V and W are weighted shares, and with V's weights w, of sum S,

    Var(mean of V) = m / (m - 1) · Σ w² (V - mean)² / S²        and so for W

which is the formula above where all weights are equal. Weights say how much an impression counts for, not that it was
seen several times: an impression of weight 2 is one observation, and makes no error smaller.

Memory: about 50 bytes a score (100 for the paired difference, or with weights).
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from esmm_dist.model.metrics.checks import checked_labels, checked_scores, checked_weights
from esmm_dist.model.metrics.gauc import weighted_auc

Placements = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def exact_auc(scores: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Compute the AUC over all pairs of a positive and a negative; a tie counts one half.

    Args:
        scores: float [N], higher means more likely positive. Any monotone scale: probabilities, logits, logarithms.
        labels: 0/1 [N].
        weights: float [N], 0 or more. None: 1 each.

    Returns:
        AUC in [0, 1]; nan if a class is missing (so also on empty input).

    Raises:
        InputDataError: A label is not 0 or 1, or the shapes differ.
        NumericalError: A score is NaN.
    """
    positive = checked_labels(labels)
    values = checked_scores(scores, positive.shape)
    if weights is not None:
        return weighted_auc(values, positive, checked_weights(weights, positive.shape))
    m = int(positive.sum())
    n = positive.size - m
    if m == 0 or n == 0:
        return math.nan
    # Twice the midranks are whole numbers: their sum is exact in int64 for any N that fits in memory.
    doubled = int(doubled_midranks(values)[positive].sum())
    return (doubled - m * (m + 1)) / (2 * m * n)


def auc_standard_error(scores: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Estimate the standard error of ``exact_auc`` by DeLong's method.

    Args:
        scores: float [N].
        labels: 0/1 [N].
        weights: float [N], 0 or more. None: 1 each.

    Returns:
        Standard error in units of AUC; nan with fewer than two positives or two negatives.

    Raises:
        InputDataError: A label is not 0 or 1, or the shapes differ.
        NumericalError: A score is NaN.
    """
    if weights is not None:
        return _weighted_standard_error(scores, labels, weights)
    found = placements(scores, labels)
    if found is None:
        return math.nan
    return math.sqrt(_covariance(found, found))


def _weighted_standard_error(scores: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike) -> float:
    positive = checked_labels(labels)
    values, weight = checked_scores(scores, positive.shape), checked_weights(weights, positive.shape)
    chosen = weight > 0  # an impression without weight is no observation
    values, positive, weight = values[chosen], positive[chosen], weight[chosen]
    if min(positive.sum(), (~positive).sum()) < 2:
        return math.nan
    below = _share_below(values[positive], values[~positive], weight[~positive])
    above = 1.0 - _share_below(values[~positive], values[positive], weight[positive])
    variance = 0.0
    for shares, of_class in ((below, weight[positive]), (above, weight[~positive])):
        from_mean = shares - np.average(shares, weights=of_class)
        size = len(shares)
        variance += size / (size - 1) * float(np.square(of_class * from_mean).sum()) / float(of_class.sum()) ** 2
    return math.sqrt(variance)


def _share_below(
    values: npt.NDArray[Any], others: npt.NDArray[Any], weights: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return for each value the share of the others' weight that lies below it, ties by half: float64 [N]."""
    order = np.argsort(others, kind="stable")
    sums = np.concatenate(([0.0], np.cumsum(weights[order])))
    sides = [sums[np.searchsorted(others[order], values, side=side)] for side in ("left", "right")]
    share: npt.NDArray[np.float64] = (sides[0] + sides[1]) / (2 * sums[-1])
    return share


def paired_auc_difference(
    scores_a: npt.ArrayLike, scores_b: npt.ArrayLike, labels: npt.ArrayLike
) -> tuple[float, float]:
    """Compare the AUCs of two rankings of the same impressions.

    Args:
        scores_a: float [N].
        scores_b: float [N], on any scale of its own.
        labels: 0/1 [N].

    Returns:
        AUC(a) - AUC(b) and its standard error (DeLong, with the covariance of the two). Both are nan where the
        standard error of one AUC would be.

    Raises:
        InputDataError: A label is not 0 or 1, or the shapes differ.
        NumericalError: A score is NaN.
    """
    a, b = placements(scores_a, labels), placements(scores_b, labels)
    if a is None or b is None:
        return math.nan, math.nan
    difference = (a[0] - b[0], a[1] - b[1])  # Var(A) + Var(B) - 2 Cov(A, B) without cancellation
    return float(difference[0].mean()), math.sqrt(_covariance(difference, difference))


def placements(scores: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Placements | None:
    """Return V and W of the module's formula: what each impression adds to the AUC.

    Args:
        scores: float [N].
        labels: 0/1 [N].
        weights: float [N], above 0. None: 1 each.

    Returns:
        V float64 [m] of the positives and W float64 [n] of the negatives, in their order, whose (weighted) means are
        the AUC; or None if a class has fewer than two.

    Raises:
        InputDataError: A label is not 0 or 1, or the shapes differ.
        NumericalError: A score is NaN.
    """
    positive = checked_labels(labels)
    values = checked_scores(scores, positive.shape)
    m = int(positive.sum())
    n = positive.size - m
    if m < 2 or n < 2:
        return None
    if weights is not None:
        weight = checked_weights(weights, positive.shape)
        below = _share_below(values[positive], values[~positive], weight[~positive])
        return below, 1.0 - _share_below(values[~positive], values[positive], weight[positive])
    doubled = doubled_midranks(values)
    below_twice = doubled[positive] - doubled_midranks(values[positive])
    above_twice = 2 * m - (doubled[~positive] - doubled_midranks(values[~positive]))
    return below_twice / (2.0 * n), above_twice / (2.0 * m)


def _covariance(a: Placements, b: Placements) -> float:
    total = 0.0
    for of_a, of_b in zip(a, b, strict=True):
        size = of_a.size
        total += float(np.dot(of_a - of_a.mean(), of_b - of_b.mean())) / (size - 1) / size
    return total


def doubled_midranks(values: npt.NDArray[np.float32] | npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return twice the mean rank (from 1) of each value among all, int64 [N]; tied values share theirs."""
    size = values.size
    order = np.argsort(values)
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    ends = np.append(starts[1:], size)
    ranks = np.empty(size, np.int64)
    ranks[order] = np.repeat(starts + ends + 1, ends - starts)  # mean of ranks starts+1 .. ends, doubled
    return ranks
