"""AUC within users, averaged over them (GAUC), and AUC with sample weights: both from sums over sorted scores.

GAUC is what a ranking is judged by that is shown to one user at a time: pairs of impressions of different users do not
count, so a model gains nothing by knowing who clicks often. With the impressions n_u of user u

    GAUC = Σ_u n_u · AUC_u / Σ_u n_u

Source: Zhu et al., "Deep Interest Network for Click-Through Rate Prediction", KDD 2018, arXiv 1706.06978, equation 15.
Users whose impressions are all positive or all negative have no AUC; they are left out and counted.

With weights w an AUC is the share of the weight of pairs, w_i · w_j each, that are in the right order (a tie counts
half), and n_u is the user's weight: an impression of weight 2 counts as two of weight 1.

Memory: about 100 bytes a score.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from esmm_dist.arrays import F64
from esmm_dist.input.users import NO_USER
from esmm_dist.model.metrics.checks import checked_labels, checked_scores, checked_weights


@dataclass(frozen=True, kw_only=True)
class Gauc:
    """AUC by user."""

    value: float
    """nan if no user has impressions of both classes."""
    users: int
    """Users that it is the mean over."""
    one_class_users: int
    """Users that were left out."""


def gauc(
    scores: npt.ArrayLike, labels: npt.ArrayLike, users: npt.NDArray[np.int64], weights: npt.ArrayLike | None = None
) -> Gauc:
    """Compute the AUC by user, weighted by the user's impressions; impressions of ``NO_USER`` are left out.

    Args:
        scores: float [N]
        labels: 0/1 [N]
        users: int64 [N]
        weights: float [N], 0 or more; None: 1 each

    Raises:
        InputDataError: A label is not 0 or 1, a weight is negative or not finite, or shapes differ.
        NumericalError: A score is NaN.
    """
    positive = checked_labels(labels)
    values, weight = checked_scores(scores, positive.shape), checked_weights(weights, positive.shape)
    known = users != NO_USER
    sums = _user_sums(values[known], positive[known], users[known], weight[known])
    both = (sums.positive > 0) & (sums.negative > 0)
    right, positive_sum, negative_sum = (each[both] for each in (sums.right, sums.positive, sums.negative))
    total = positive_sum + negative_sum
    value = float((total * (right / (positive_sum * negative_sum))).sum() / total.sum()) if both.any() else math.nan
    return Gauc(value=value, users=int(both.sum()), one_class_users=int((~both).sum()))


def weighted_auc(values: npt.NDArray[Any], positive: npt.NDArray[np.bool_], weights: F64) -> float:
    """Return the AUC of checked scores with checked weights; nan if a class has no weight."""
    sums = _user_sums(values, positive, np.zeros(len(values), np.int64), weights)
    if not len(sums.right) or not sums.positive[0] or not sums.negative[0]:
        return math.nan
    return float(sums.right[0] / (sums.positive[0] * sums.negative[0]))


@dataclass(frozen=True, kw_only=True)
class _UserSums:
    """For each user, float64 [U]: weight of the positives, of the negatives, and of the pairs in the right order."""

    positive: F64
    negative: F64
    right: F64


def _user_sums(
    values: npt.NDArray[Any], positive: npt.NDArray[np.bool_], users: npt.NDArray[np.int64], weights: F64
) -> _UserSums:
    """Sum over all pairs of each user. Weights of 1 are summed without rounding: all sums are whole or half numbers."""
    if not len(values):
        return _UserSums(positive=np.zeros(0), negative=np.zeros(0), right=np.zeros(0))
    order = np.lexsort((values, users))
    values, users = values[order], users[order]
    of_positive = np.where(positive, weights, 0.0)[order]
    of_negative = np.where(positive, 0.0, weights)[order]
    new_user = np.concatenate(([True], users[1:] != users[:-1]))
    ties = np.flatnonzero(new_user | np.concatenate(([True], values[1:] != values[:-1])))
    begins = np.flatnonzero(new_user)
    tie_positive, tie_negative = np.add.reduceat(of_positive, ties), np.add.reduceat(of_negative, ties)
    below = np.concatenate(([0.0], np.cumsum(tie_negative)[:-1]))  # weight of all negatives before each tie
    first_tie = np.searchsorted(ties, begins)
    user_of_tie = np.repeat(np.arange(len(begins)), np.diff(np.append(first_tie, len(ties))))
    below -= below[first_tie][user_of_tie]
    right = tie_positive * (below + 0.5 * tie_negative)
    return _UserSums(
        positive=np.add.reduceat(of_positive, begins),
        negative=np.add.reduceat(of_negative, begins),
        right=np.add.reduceat(right, first_tie),
    )
