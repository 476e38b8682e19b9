"""Fit an isotonic curve: the rising steps nearest to the labels, by pool-adjacent-violators, made into lines.

Neighbouring bins whose shares of positives fall are pooled until none do. Each pool is a knot at its mean logit
(centred isotonic regression: Oron and Flournoy, "Centered isotonic regression: point and interval estimation for
dose-response studies", 2017), so that the curve rises everywhere and no two impressions become ties. Lines between the
logits of pools are not their steps, so all is shifted until the sum of predictions is the sum of labels.
"""

import numpy as np

from esmm_dist.arrays import F64
from esmm_dist.calibration.curves import IsotonicCurve
from esmm_dist.calibration.label_counts import LabelCounts, sigmoid

_SHIFTS = 60
"""Halvings of the interval of the shift, [-30, 30]: to the last bits of a float64."""


def fit_isotonic(counts: LabelCounts) -> IsotonicCurve:
    """Fit a curve.

    Args:
        counts: impressions, with a positive and a negative among them
    """
    logits, shares = _pooled(counts)
    # A pool without a positive (a negative) has at most as few as one in all impressions and one more of each class
    least = 1 / (float(counts.weights.sum()) + 2)
    shares = np.clip(shares, least, 1 - least)
    rises = np.concatenate([[True], np.diff(shares) > 0])
    logits, shares = logits[rises], shares[rises]
    curve = _curve(logits, np.log(shares) - np.log1p(-shares))
    happened = float(counts.positive.sum())
    low, high = -30.0, 30.0
    for _ in range(_SHIFTS):
        middle = (low + high) / 2
        predicted = float((counts.weights * sigmoid(curve.of(counts.logits) + middle)).sum())
        low, high = (middle, high) if predicted < happened else (low, middle)
    return _curve(logits, np.array(curve.calibrated) + low)


def _pooled(counts: LabelCounts) -> tuple[F64, F64]:
    """Return the mean logit and the share of positives of each pool, both ascending."""
    from sklearn.isotonic import isotonic_regression  # loaded in half a second

    steps = isotonic_regression(counts.positive / counts.weights, sample_weight=counts.weights)
    begins = np.flatnonzero(np.diff(steps, prepend=-1.0))
    weights = np.add.reduceat(counts.weights, begins)
    logits = np.add.reduceat(counts.weights * counts.logits, begins) / weights
    return logits, np.add.reduceat(counts.positive, begins) / weights


def _curve(logits: F64, calibrated: F64) -> IsotonicCurve:
    return IsotonicCurve(logits=tuple(logits.tolist()), calibrated=tuple(calibrated.tolist()))
