"""How good predictions are where the true probability of each impression is known, as it is of a planted log.

Labels are then not needed, and a conditional probability can be measured on impressions that did not reach its
condition: pCVR on those that were not clicked. Each impression i, with true probability p_i, stands for a positive of
weight p_i and a negative of weight 1 - p_i. With scores s and c(s, t) = [s > t] + [s = t] / 2,

    expected AUC = Σ_{i≠j} p_i (1 - p_j) c(s_i, s_j) / Σ_{i≠j} p_i (1 - p_j)

is the expected number of ordered pairs of a positive and a negative over the expected number of all such pairs, when
the label of each impression is drawn from its own probability: what AUCs of labels drawn again and again fluctuate
about. (Their mean differs from it by O(1/N).) An impression is no pair with itself, so i = j is left out.

    calibration  = Σ_i q_i / Σ_i p_i                            q_i: prediction
    divergence   = 1/N Σ_i p_i ln(p_i / q_i) + (1 - p_i) ln((1 - p_i) / (1 - q_i))

The Kullback-Leibler divergence from the prediction to the truth is the expected log loss above the least possible
one, that of the truth itself.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from esmm_dist.arrays import F64
from esmm_dist.errors import InputDataError
from esmm_dist.model.metrics.checks import checked_scores

_LEAST = 2.0**-24
"""Predictions are taken as at least this far from 0 and 1: float32 has no number closer to 1."""


@dataclass(frozen=True, kw_only=True)
class TruthFigures:
    """Predictions against true probabilities."""

    impressions: int
    auc: float
    """Expected AUC; nan without a pair."""
    calibration: float
    """Sum of predictions over sum of true probabilities; nan on empty input."""
    divergence: float
    """Expected log loss above the least possible one, nats an impression; nan on empty input."""


def truth_figures(predictions: npt.ArrayLike, truth: npt.ArrayLike) -> TruthFigures:
    """Measure predictions by the true probabilities.

    Args:
        predictions: float [N], probabilities
        truth: float [N], true probabilities in [0, 1]

    Raises:
        InputDataError: a true probability is outside of [0, 1], or shapes differ
        NumericalError: a prediction is NaN
    """
    p = checked_truth(truth)
    q = checked_scores(predictions, p.shape).astype(np.float64)
    return TruthFigures(
        impressions=p.size,
        auc=expected_auc(q, p),
        calibration=float(q.sum() / p.sum()) if p.any() else math.nan,
        divergence=float(_divergences(q, p).mean()) if p.size else math.nan,
    )


def expected_auc(scores: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return the expected AUC of a ranking, in O(N log N); ties count one half.

    Args:
        scores: float [N], on any monotone scale
        truth: float [N], true probabilities in [0, 1]

    Raises:
        InputDataError: a true probability is outside of [0, 1], or shapes differ
        NumericalError: a score is NaN
    """
    p = checked_truth(truth)
    values = checked_scores(scores, p.shape)
    with_itself = float(np.dot(p, 1 - p))
    pairs = float(p.sum()) * float((1 - p).sum()) - with_itself
    if p.size < 2 or pairs <= 0:
        return math.nan
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    positive = np.add.reduceat(p[order], starts)  # weights of each group of ties
    negative = np.add.reduceat(1 - p[order], starts)
    below = np.cumsum(negative) - negative
    return (float(np.dot(positive, below + negative / 2)) - with_itself / 2) / pairs


def checked_truth(truth: npt.ArrayLike) -> F64:
    """Return true probabilities as float64.

    Raises:
        InputDataError: one is not in [0, 1]
    """
    array = np.asarray(truth, np.float64)
    wrong = ~((array >= 0) & (array <= 1))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise InputDataError(f"True probability at {at} is {array.flat[at]}, outside of 0 .. 1. Make the log anew.")
    return array


def _divergences(q: F64, p: F64) -> F64:
    q = np.clip(q, _LEAST, 1 - _LEAST)
    with np.errstate(divide="ignore", invalid="ignore"):
        positive = np.where(p > 0, p * np.log(p / q), 0.0)
        negative = np.where(p < 1, (1 - p) * np.log((1 - p) / (1 - q)), 0.0)
    found: F64 = positive + negative
    return found
