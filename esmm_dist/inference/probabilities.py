"""The columns of predictions: the probabilities of a label tree."""

from typing import Any

import numpy as np
import numpy.typing as npt

from esmm_dist.schema.label_tree import LabelTree


def probabilities(logits: npt.NDArray[Any], tree: LabelTree) -> list[npt.NDArray[Any]]:
    """Return the columns of ``tree.columns``, float32 [B] each.

    Args:
        logits: float32 or float64 [B, K], of the conditional probabilities: those of a scorer
        tree: K labels
    """
    conditional = list(np.exp(-np.logaddexp(0.0, -logits.astype(np.float64))).T)
    products = tree.products(conditional)
    columns = (products[task.label] if task.given is None else conditional[task.label] for task in tree.tasks)
    return [column.astype(np.float32) for column in columns]
