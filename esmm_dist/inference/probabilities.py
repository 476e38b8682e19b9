"""The columns of predictions: the probabilities of a label chain, and their names."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt


def prediction_columns(labels: tuple[str, ...]) -> list[str]:
    """Return the names of the prediction columns of a label chain."""
    if len(labels) == 2:
        return ["pctr", "pcvr", "pctcvr"]
    names = [f"p_{labels[0]}"]
    for before, label in itertools.pairwise(labels):
        names += [f"p_{label}_given_{before}", f"p_{label}"]
    return names


def probabilities(logits: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Return the columns that ``prediction_columns`` names, float32 [B] each.

    Args:
        logits: float32 or float64 [B, K], of the conditional probabilities: those of a scorer
    """
    conditional = np.exp(-np.logaddexp(0.0, -logits.astype(np.float64)))
    product = np.cumprod(conditional, axis=1)
    columns = [conditional[:, 0]]
    for k in range(1, logits.shape[1]):
        columns += [conditional[:, k], product[:, k]]
    return [column.astype(np.float32) for column in columns]
