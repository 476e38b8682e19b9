"""Refuse labels and scores that a metric would silently turn into a wrong number."""

from typing import Any

import numpy as np
import numpy.typing as npt

from esmm_dist.errors import InputDataError, NumericalError


def checked_labels(labels: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return 0/1 labels (any numeric type) as booleans of the same shape.

    Raises:
        InputDataError: A label is neither 0 nor 1.
    """
    array = np.asarray(labels)
    if array.dtype == np.bool_:
        return array
    positive: npt.NDArray[np.bool_] = array == 1
    wrong = ~(positive | (array == 0))
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InputDataError(
            f"Label at {list(at)} is {array[at]}, neither 0 nor 1. Give the labels that preprocess wrote."
        )
    return positive


def checked_scores(scores: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return scores as a floating-point array of the labels' shape; float32 stays float32.

    Raises:
        InputDataError: The shape differs from that of the labels.
        NumericalError: A score is NaN. Infinite scores are allowed: they have a rank.
    """
    array = np.asarray(scores)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if array.shape != shape:
        raise InputDataError(f"Scores have shape {list(array.shape)} but labels {list(shape)}. Give one score a label.")
    missing = np.isnan(array)
    if missing.any():
        at = [int(i) for i in np.argwhere(missing)[0]]
        raise NumericalError(
            f"{int(missing.sum())} of {array.size} scores are NaN (the first at {at}), so there is no ranking. "
            "The model has diverged: use a checkpoint from before, or a smaller learning rate."
        )
    return array


def checked_weights(weights: npt.ArrayLike | None, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Return sample weights as float64 of the labels' shape; None stands for 1 each.

    Raises:
        InputDataError: The shape differs from that of the labels, or a weight is negative or not finite.
    """
    if weights is None:
        return np.ones(shape)
    array = np.asarray(weights, np.float64)
    if array.shape != shape:
        raise InputDataError(
            f"Weights have shape {list(array.shape)} but labels {list(shape)}. Give one weight an impression."
        )
    wrong = ~(array >= 0) | ~np.isfinite(array)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise InputDataError(f"Weight at {at} is {array[at]}. Give weights of 0 or more, as preprocess writes them.")
    return array
