"""Whether predictions are right on average."""

import math

import numpy as np
import numpy.typing as npt

from esmm_dist.model.metrics.checks import checked_labels, checked_scores, checked_weights


def calibration(probabilities: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Divide the sum of predictions by the sum of labels: 1 is right, 2 promises twice what happens.

    Args:
        probabilities: float [N] in [0, 1].
        labels: 0/1 [N].
        weights: float [N], 0 or more, of the terms of both sums. None: 1 each.

    Returns:
        The ratio; nan if no label (with a weight) is 1.

    Raises:
        InputDataError: A label is not 0 or 1, or the shapes differ.
        NumericalError: A probability is NaN.
    """
    positive = checked_labels(labels)
    values = checked_scores(probabilities, positive.shape)
    if weights is not None:
        weight = checked_weights(weights, positive.shape)
        happened = float(weight[positive].sum())
        return float((weight * values).sum()) / happened if happened else math.nan
    positives = int(positive.sum())
    return float(values.sum(dtype=np.float64)) / positives if positives else math.nan
