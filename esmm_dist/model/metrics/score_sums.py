"""Metrics from one pass over sorted scores: what ``auc``, ``gauc``, ``log_loss`` and ``calibration`` compute.

The sums are kept with twice the digits of a float64 and put together as fractions, so that a metric depends on the
scores alone: not on the order of impressions, nor on how they lay in batches, runs and ranks.
"""

import math
from fractions import Fraction

import numpy as np

from esmm_dist.arrays import F64, I64, Bools
from esmm_dist.kernels import sorted_scores as kernels
from esmm_dist.model.metrics.gauc import Gauc
from esmm_dist.model.metrics.log_loss import LOWEST_LOG_PROBABILITY


class ScoreSums:
    """Sums over impressions in the order of their scores."""

    def __init__(self) -> None:
        """Begin with no impression."""
        self._tie = np.zeros(kernels.NUM_TIE_VALUES)
        self._sums = np.zeros((kernels.NUM_SCORE_SUMS, 2))
        self._counts = np.zeros(4, np.int64)

    def add(self, log_probabilities: F64, positive: Bools, weights: F64 | None) -> None:
        """Add a block of impressions.

        Args:
            log_probabilities: float64 [n], log p of label 1, at most 0; ascending, also from block to block
            positive: bool [n], the labels
            weights: float64 [n], 0 or more; among impressions of equal score and label ascending. None: 1 each.
        """
        weights = np.ones(len(positive)) if weights is None else weights
        terms = _terms(log_probabilities)
        kernels.fold_scores(terms, positive, weights, self._tie, self._sums, self._counts)

    @property
    def positives(self) -> int:
        """Impressions with label 1."""
        return int(self._counts[0])

    @property
    def impressions(self) -> int:
        """All impressions."""
        return int(self._counts[1])

    def auc(self) -> float:
        """Return what ``exact_auc`` does."""
        positive, negative = self._sum(kernels.POSITIVE), self._sum(kernels.NEGATIVE)
        return float(self._sum(kernels.RIGHT) / (positive * negative)) if positive and negative else math.nan

    def auc_standard_error(self) -> float:
        """Return what ``auc_standard_error`` does."""
        positives = int(self._counts[2])
        negatives = int(self._counts[3]) - positives
        kernels.end_tie(self._tie, self._sums)
        if min(positives, negatives) < 2 or not np.isfinite(self._sums).all():
            return math.nan
        positive, negative = self._sum(kernels.POSITIVE), self._sum(kernels.NEGATIVE)
        right = self._sum(kernels.RIGHT)
        squares = self._squares(kernels.POSITIVE_SQUARES, right / positive) * Fraction(positives, positives - 1)
        below = positive - right / negative  # the mean weight of positives below a negative
        squares += self._squares(kernels.NEGATIVE_SQUARES, below) * Fraction(negatives, negatives - 1)
        return math.sqrt(max(float(squares), 0.0)) / float(positive * negative)

    def log_loss(self) -> float:
        """Return what ``log_loss`` does."""
        weight = self._sum(kernels.POSITIVE) + self._sum(kernels.NEGATIVE)
        return float(-self._sum(kernels.LOG_LIKELIHOOD) / weight) if weight else math.nan

    def calibration(self) -> float:
        """Return what ``calibration`` does."""
        positive = self._sum(kernels.POSITIVE)
        return float(self._sum(kernels.PREDICTED) / positive) if positive else math.nan

    def calibration_standard_error(self) -> float:
        """Return the standard error of ``calibration``, that of a ratio R of two means over n impressions.

        With predictions p, labels y and weights w it is √(n / (n - 1) · Σ w² (p - R y)²) / Σ w y: Cochran, Sampling
        Techniques (1977), chapter 6. Where R is 1 the terms are the errors of single predictions.

        Returns:
            nan without a positive, or with fewer than two impressions that have a weight.
        """
        positive, rows = self._sum(kernels.POSITIVE), int(self._counts[3])
        if not positive or rows < 2:
            return math.nan
        ratio = self._sum(kernels.PREDICTED) / positive
        squares, first, second = map(
            self._sum, (kernels.PREDICTED_SQUARES, kernels.POSITIVE_PREDICTED_SQUARES, kernels.POSITIVE_SQUARES)
        )
        squares += ratio * (ratio * second - 2 * first)
        return math.sqrt(max(float(squares * Fraction(rows, rows - 1)), 0.0)) / float(positive)

    def _sum(self, place: int) -> Fraction:
        kernels.end_tie(self._tie, self._sums)
        return _exact(self._sums, place)

    def _squares(self, place: int, mean: Fraction) -> Fraction:
        """Return Σ w² (v - mean)² of the class whose sums of w², w² v and w² v² begin at ``place``."""
        squares, first, second = (self._sum(place + power) for power in range(3))
        return second - 2 * mean * first + mean * mean * squares


class UserSums:
    """Sums over impressions in the order of their users, those of a user in the order of their scores."""

    def __init__(self) -> None:
        """Begin with no impression."""
        self._at_hand = np.zeros(4, np.int64)
        self._sums = np.zeros((kernels.NUM_USER_SUMS, 2))

    def add(self, users: I64, scores: F64, positive: Bools, weights: F64 | None) -> None:
        """Add a block of impressions.

        Args:
            users: int64 [n], ascending, also from block to block
            scores: float64 [n], ascending within a user
            positive: bool [n], the labels
            weights: float64 [n], 0 or more; as in ``ScoreSums``. None: 1 each.
        """
        weights = np.ones(len(users)) if weights is None else weights
        kernels.fold_users(users, scores, positive, weights, self._at_hand, self._sums)

    def gauc(self) -> Gauc:
        """Return what ``gauc`` does."""
        kernels.end_user(self._at_hand, self._sums)
        weight = _exact(self._sums, kernels.USERS_WEIGHT)
        value = float(_exact(self._sums, kernels.USERS_WEIGHTED_AUC) / weight) if weight else math.nan
        return Gauc(value=value, users=int(self._at_hand[2]), one_class_users=int(self._at_hand[3]))


def _exact(sums: F64, place: int) -> Fraction:
    return Fraction(sums[place, 0]) + Fraction(sums[place, 1])


def _terms(log_probabilities: F64) -> F64:
    """Return score, log p, log (1 - p) and p of each impression: float64 [4, n]; logarithms cut as in ``log_loss``."""
    terms = np.empty((4, len(log_probabilities)))
    log_p = np.minimum(log_probabilities, 0.0)
    terms[0] = log_probabilities
    terms[1] = np.maximum(log_p, LOWEST_LOG_PROBABILITY)
    with np.errstate(divide="ignore"):  # log 0 where p is 1, which is cut
        terms[2] = np.maximum(np.log(-np.expm1(log_p)), LOWEST_LOG_PROBABILITY)
    terms[3] = np.exp(log_p)
    return terms
