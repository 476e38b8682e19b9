"""Whether predictions are right on average."""

import math

import numpy as np
import numpy.typing as npt

from esmm_dist.model.metrics.checks import checked_labels, checked_scores


def calibration(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Divide the sum of predictions by the sum of labels: 1 is right, 2 promises twice what happens.

    Args:
        probabilities: float [N] in [0, 1].
        labels: 0/1 [N].

    Returns:
        The ratio; nan if no label is 1.

    Raises:
        InputDataError: A label is not 0 or 1, or the shapes differ.
        NumericalError: A probability is NaN.
    """
    positive = checked_labels(labels)
    values = checked_scores(probabilities, positive.shape)
    positives = int(positive.sum())
    return float(values.sum(dtype=np.float64)) / positives if positives else math.nan
