"""Propensities: how likely an impression is to reach a label, by which losses are debiased."""

import math

import tensorflow as tf

from esmm_dist.model.losses import running_log_probabilities
from esmm_dist.model.objectives.label_shares import LabelShares
from esmm_dist.schema.label_tree import LabelTree


class InversePropensities:
    """1 / o and 1 / (1 - o) with o = P(label before counts), and what they need where negatives were left out.

    The propensity of a label is the running product of the path to the label before it, as the model estimates it at
    the moment. No gradient goes through it: it weighs a loss, and must not be moved to make that loss smaller. It is at
    least ``floor``, so that no weight exceeds 1 / floor.

    Where a data set kept a share κ of its negatives, o is that of the full log (ln κ is added to the first logit, as
    for predictions), each negative stands for 1 / κ impressions of it, and sums are scaled by the kept share of all
    impressions: in expectation they are the full log's mean over its impressions times the impressions that were kept.
    """

    def __init__(self, tree: LabelTree, shares: LabelShares, floor: float) -> None:
        """Remember what they depend on.

        Args:
            tree: the labels
            shares: constants of the training data
            floor: least propensity
        """
        self._tree, self._shares = tree, shares
        self._log_floor = math.log(floor)
        self._before = tree.parents[1:]

    def of(self, logits: tf.Tensor, running: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Return 1 / o and 1 / (1 - o) for all labels but the first, float32 [B, K - 1] each.

        Args:
            logits: float32 [B, K], of the conditional probabilities in the training data
            running: ``running_log_probabilities`` of them
        """
        if self._shares.keep_negatives != 1:
            shift = [math.log(self._shares.keep_negatives)] + [0.0] * (len(self._tree.names) - 1)
            running = running_log_probabilities(logits + tf.constant(shift, tf.float32), self._tree)
        columns = (tf.stop_gradient(tf.gather(each, tf.constant(self._before, tf.int32), axis=1)) for each in running)
        reached, missed = (tf.exp(-tf.maximum(each, self._log_floor)) for each in columns)
        return reached, missed

    def of_full_log(self, terms: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Return terms of impressions, float32 [B, K - 1], each as often as the impression counts in the full log."""
        if self._shares.keep_negatives == 1:
            return terms
        clicked = labels[:, :1]
        return terms * self._shares.kept * (clicked + (1.0 - clicked) / self._shares.keep_negatives)
