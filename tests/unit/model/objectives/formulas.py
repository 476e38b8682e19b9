"""Objectives and their gradients at numbers that can be followed by hand."""

from typing import Any

import numpy as np
import tensorflow as tf

from esmm_dist.model.objectives.config import ObjectiveConfig
from esmm_dist.model.objectives.label_shares import LabelShares
from esmm_dist.model.objectives.make import make_objective
from esmm_dist.model.objectives.objective import ModelObjective
from esmm_dist.schema.label_tree import LabelTree

PAIR = LabelTree.of(["click", "conversion"])
FUNNEL = LabelTree.of(["click", "cart", "purchase"])
TREE = LabelTree.of(["click", "cart", "purchase", "favourite"], {"favourite": "click"})


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def objective(name: Any, tree: LabelTree = PAIR, shares: LabelShares | None = None, **settings: Any) -> ModelObjective:
    return make_objective(ObjectiveConfig(objective=name, **settings), tree, shares)


def sums(found: ModelObjective, outputs: Any, labels: Any, weights: Any = None) -> np.ndarray:
    weights = None if weights is None else tf.constant(weights, tf.float32)
    result: np.ndarray = found.loss_sums(
        tf.constant(outputs, tf.float32), tf.constant(labels, tf.float32), weights
    ).numpy()
    return result


def gradients(found: ModelObjective, outputs: Any, labels: Any, label: int) -> np.ndarray:
    """Return d of one label's loss sum / d outputs, float32 [B, H]."""
    tensor = tf.constant(outputs, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        loss = found.loss_sums(tensor, tf.constant(labels, tf.float32))[label]
    result: np.ndarray = tf.convert_to_tensor(tape.gradient(loss, tensor)).numpy()
    return result


def conditional(found: ModelObjective, outputs: Any) -> np.ndarray:
    """Return the probabilities of the conditional logits, float32 [B, K]."""
    result: np.ndarray = tf.sigmoid(found.conditional_logits(tf.constant(outputs, tf.float32))).numpy()
    return result
