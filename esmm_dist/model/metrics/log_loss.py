"""The mean negative log likelihood of labels."""

import math

import numpy as np
import numpy.typing as npt

from esmm_dist.model.metrics.checks import checked_labels, checked_scores, checked_weights

# At 1e-15, where scikit-learn long cut as well, one certain and wrong prediction costs 34.5 nats; uncut it would cost
# infinity and hide all the others.
LOWEST_LOG_PROBABILITY = math.log(1e-15)


def log_loss(log_probabilities: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Compute -mean(y log p + (1 - y) log(1 - p)) in nats.

    Args:
        log_probabilities: float [N], log p of label 1, at most 0. Logarithms, because a float32 probability of a
            conversion near 1e-7 has few digits left in 1 - p, and its logarithm has all.
        labels: 0/1 [N].
        weights: float [N], 0 or more: the mean is weighted. None: 1 each.

    Returns:
        Nats an impression; nan on empty input, or without weight. Each logarithm is cut at log(1e-15).

    Raises:
        InputDataError: A label is not 0 or 1, or the shapes differ.
        NumericalError: A logarithm is NaN.
    """
    positive = checked_labels(labels)
    log_p = np.minimum(checked_scores(log_probabilities, positive.shape).astype(np.float64), 0.0)
    if positive.size == 0:
        return math.nan
    of_negatives = log_p[~positive]
    log_not_p = np.full(of_negatives.shape, LOWEST_LOG_PROBABILITY)
    below_one = of_negatives < 0
    log_not_p[below_one] = np.log(-np.expm1(of_negatives[below_one]))
    of_positives = np.maximum(log_p[positive], LOWEST_LOG_PROBABILITY)
    of_negatives = np.maximum(log_not_p, LOWEST_LOG_PROBABILITY)
    if weights is not None:
        weight = checked_weights(weights, positive.shape)
        all_weight = float(weight.sum())
        total = (weight[positive] * of_positives).sum() + (weight[~positive] * of_negatives).sum()
        return float(-total / all_weight) if all_weight else math.nan
    return float(-(of_positives.sum() + of_negatives.sum()) / positive.size)
