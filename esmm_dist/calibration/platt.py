"""Fit Platt scaling: a line through logits, by Newton's method.

Platt, "Probabilistic outputs for support vector machines and comparisons to regularized likelihood methods" (1999),
with his smoothed targets; the steps are those of Lin, Lin and Weng, "A note on Platt's probabilistic outputs for
support vector machines", Machine Learning 68 (2007), algorithm 1.
"""

import numpy as np

from esmm_dist.arrays import F64
from esmm_dist.calibration.curves import PlattScaling
from esmm_dist.calibration.label_counts import LabelCounts, sigmoid

LOWEST_SLOPE = 1e-3
"""Below it calibrated logits would hardly differ, and the model says nothing about the label."""

_MOST_STEPS = 100
_RIDGE = 1e-12
_SUFFICIENT_DECREASE = 1e-4
_SHORTEST_STEP = 1e-10
_SMALLEST_GRADIENT = 1e-9
"""The gradient is that of the mean loss: the sum of predictions is then right to nine digits."""


def fit_platt(counts: LabelCounts) -> PlattScaling | None:
    """Fit a line; None if it does not rise, because higher logits are not more often positive.

    Args:
        counts: impressions, with a positive and a negative among them
    """
    positives, negatives = float(counts.positive.sum()), float(counts.negative.sum())
    total = positives + negatives
    # Targets of one more positive and one more negative, so that few impressions promise no certainty
    high, low = (positives + 1) / (positives + 2), 1 / (negatives + 2)
    weights = np.stack([counts.positive * high + counts.negative * low, counts.weights])
    weights[1] -= weights[0]
    weights /= total  # of the targets and their complements
    inputs = np.stack([counts.logits, np.ones_like(counts.logits)])
    line = np.array([0.0, np.log((positives + 1) / (negatives + 1))])
    loss = _loss(line, inputs, weights)
    for _ in range(_MOST_STEPS):
        p = sigmoid(line @ inputs)
        gradient = inputs @ (weights[1] * p - weights[0] * (1 - p))
        if np.abs(gradient).max() < _SMALLEST_GRADIENT:
            break
        hessian = (inputs * (weights.sum(axis=0) * p * (1 - p))) @ inputs.T + _RIDGE * np.eye(2)
        step = -np.linalg.solve(hessian, gradient)
        length = 1.0
        while length >= _SHORTEST_STEP:
            tried = _loss(line + length * step, inputs, weights)
            if tried < loss + _SUFFICIENT_DECREASE * length * (gradient @ step):
                break
            length /= 2
        else:
            break  # as low as float64 can tell
        line, loss = line + length * step, tried
    slope, intercept = (float(each) for each in line)
    return PlattScaling(slope=slope, intercept=intercept) if slope > LOWEST_SLOPE else None


def _loss(line: F64, inputs: F64, weights: F64) -> float:
    logits = line @ inputs
    return float((weights[0] * np.logaddexp(0.0, -logits) + weights[1] * np.logaddexp(0.0, logits)).sum())
