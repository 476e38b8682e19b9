"""What deciles and segments must be, by formulas that hold all impressions at once."""

import math

import numpy as np


def by_decile(scores, labels, weights=None):
    """Return the deciles as mappings: each tie goes to the bin in which the middle of its weight lies."""
    weights = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    total = weights.sum()
    bins = np.zeros(len(scores), int)
    for score in np.unique(scores):
        tie = scores == score
        middle = weights[scores < score].sum() + weights[tie].sum() / 2
        bins[tie] = min(math.floor(round(10 * middle / total, 9)), 9) if total else 0
    found = []
    for number in range(10):
        w, y, p = (each[bins == number] for each in (weights, labels, np.exp(scores)))
        if w.sum():
            mean, n = (w * y).sum() / w.sum(), int((w > 0).sum())
            error = math.sqrt(n / (n - 1) * (w**2 * (y - mean) ** 2).sum()) / w.sum() if n > 1 else math.nan
            found.append(
                {
                    "decile": number + 1,
                    "impressions": len(w),
                    "weight": w.sum(),
                    "mean_prediction": (w * p).sum() / w.sum(),
                    "mean_label": mean,
                    "mean_label_standard_error": error,
                    "calibration": (w * p).sum() / (w * y).sum() if (w * y).sum() else math.nan,
                }
            )
    return found


def calibration_error(predictions, labels, weights=None):
    """Return the standard error of Σ w p / Σ w y, that of a ratio of means."""
    w = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    n, happened = int((w > 0).sum()), (w * labels).sum()
    if not happened or n < 2:
        return math.nan
    ratio = (w * predictions).sum() / happened
    return math.sqrt(n / (n - 1) * (w**2 * (predictions - ratio * labels) ** 2).sum()) / happened
