"""Calibration by decile: whether predictions are right where they are low, and where they are high.

Impressions in the order of their predictions are cut into ten bins of equal weight. Impressions of one prediction stay
together, in the bin that holds the middle of their weight: with W the weight of all, W_below that of lower predictions
and W_tie that of this one,

    bin = floor(10 (W_below + W_tie / 2) / W)

so that a bin depends on the predictions alone, not on the order of impressions. Bins differ in size where many
impressions have one prediction, and a bin without impressions is left out.

The expected calibration error is the mean distance of prediction and label over bins, weighted as the bins are: Naeini,
Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from esmm_dist.arrays import F64, Bools
from esmm_dist.kernels import sorted_scores as kernels

NUM_BINS = 10


@dataclass(frozen=True, kw_only=True)
class Decile:
    """Impressions of neighbouring predictions."""

    decile: int
    """1 (the lowest predictions) .. 10"""

    impressions: int

    weight: float
    """Sum of their sample weights; their number where there are none."""

    mean_prediction: float
    mean_label: float

    mean_label_standard_error: float
    """Standard error of ``mean_label``; nan with fewer than two impressions that have a weight."""

    calibration: float
    """``mean_prediction`` over ``mean_label``; nan if no label is 1."""


class DecileSums:
    """Sums over impressions in the order of their scores."""

    def __init__(self, total_weight: Fraction) -> None:
        """Begin with no impression.

        Args:
            total_weight: sum of the weights of all impressions that will be added
        """
        self._values = np.array([float(total_weight), math.nan, math.nan])
        self._sums = np.zeros((NUM_BINS + 2, kernels.NUM_BIN_SUMS, 2))

    def add(self, log_probabilities: F64, positive: Bools, weights: F64 | None) -> None:
        """Add a block of impressions, as in ``ScoreSums``."""
        weights = np.ones(len(positive)) if weights is None else weights
        predicted = np.exp(np.minimum(log_probabilities, 0.0))
        kernels.fold_bins(log_probabilities, predicted, positive, weights, self._values, self._sums)

    def deciles(self) -> tuple[Decile, ...]:
        """Return the bins that hold an impression with a weight, the lowest predictions first."""
        kernels.end_bin_tie(self._values, self._sums)
        found = (_decile(number, sums) for number, sums in enumerate(self._sums[:NUM_BINS], start=1))
        return tuple(each for each in found if each is not None)


def expected_calibration_error(deciles: Sequence[Decile]) -> float:
    """Return the mean of |mean prediction - mean label| over bins, by their weight; nan without any."""
    return _weighted_mean(deciles, [abs(each.mean_prediction - each.mean_label) for each in deciles])


def calibration_error_of_noise(deciles: Sequence[Decile]) -> float:
    """Return what the expected calibration error of right predictions would be about, from the labels' noise alone.

    A mean label of standard error s is off by s √(2/π) on average (the mean of |x| for normal x). nan without bins, or
    where a standard error is.
    """
    return _weighted_mean(deciles, [each.mean_label_standard_error * math.sqrt(2 / math.pi) for each in deciles])


def exact_total(values: F64) -> Fraction:
    """Return the sum of float64 [n] without a rounding, so that it does not depend on an order."""
    if not len(values):
        return Fraction(0)
    mantissas, exponents = np.frexp(values)
    whole = (mantissas * 2.0**53).astype(np.int64)
    lowest = int(exponents.min())
    total = 0
    # Halves of 27 bits: their sums are exact in float64 for 2^26 values
    for shift, half in ((26, whole >> 26), (0, whole & ((1 << 26) - 1))):
        for place, subtotal in enumerate(np.bincount(exponents - lowest, weights=half).tolist()):
            total += int(subtotal) << (shift + place)
    return Fraction(total) * Fraction(2) ** (lowest - 53)


def _decile(number: int, sums: F64) -> Decile | None:
    positive, negative, positive_squares, negative_squares, predicted = (
        Fraction(sums[place, 0]) + Fraction(sums[place, 1]) for place in range(5)
    )
    rows, with_weight = int(sums[kernels.BIN_ROWS, 0]), int(sums[kernels.BIN_ROWS_WITH_WEIGHT, 0])
    weight = positive + negative
    if not weight:
        return None
    mean = positive / weight
    error = math.nan
    if with_weight > 1:
        squares = positive_squares * (1 - mean) ** 2 + negative_squares * mean**2
        error = math.sqrt(squares * Fraction(with_weight, with_weight - 1)) / float(weight)
    return Decile(
        decile=number,
        impressions=rows,
        weight=float(weight),
        mean_prediction=float(predicted / weight),
        mean_label=float(mean),
        mean_label_standard_error=error,
        calibration=float(predicted / positive) if positive else math.nan,
    )


def _weighted_mean(deciles: Sequence[Decile], values: Sequence[float]) -> float:
    weight = math.fsum(each.weight for each in deciles)
    if not weight:
        return math.nan
    return math.fsum(each.weight * value for each, value in zip(deciles, values, strict=True)) / weight
