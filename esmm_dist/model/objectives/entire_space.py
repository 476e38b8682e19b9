"""Losses over the entire space of impressions: ESMM, its variant without sharing, and the division of two estimates."""

import tensorflow as tf

from esmm_dist.model.losses import product_cross_entropies, running_log_probabilities
from esmm_dist.model.objectives.objective import ModelObjective, cross_entropy

_LARGEST_LOG_RATIO = -1e-6
"""log of the largest P(label | label before) that a division gives, 1 - 1e-6: a logit of 13.8."""


class RunningProducts(ModelObjective):
    """``esmm`` and ``amt``: each label's loss is the cross entropy of its running product, over all impressions.

    There is no loss on a conditional probability itself. ``amt`` is the paper's ESMM-NS: the same losses, and networks
    that share no embeddings.

    Source: Ma et al., "Entire Space Multi-Task Model", SIGIR 2018, arXiv 1804.07931, equations 1-4; section 3.1 for
    ESMM-NS. Wen et al., "Entire Space Multi-Task Modeling via Post-Click Behavior Decomposition", SIGIR 2020, have the
    same losses along longer paths.
    """

    def terms(self, outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Return the cross entropies of the running products."""
        return product_cross_entropies(*running_log_probabilities(outputs, self.tree), labels)


class Division(ModelObjective):
    """``division``: each label has a network of its own on the entire space, and conditional ones are their ratios.

    Outputs are logits b_k of the running products q_k themselves: q_1 estimates pCTR, q_2 pCTCVR. The conditional
    probability is q_k / q_j with label j before label k, which nothing keeps below 1; it is clipped to 1 - 1e-6, and
    pCTCVR = pCTR · pCVR is then pCTR.

    Source: Ma et al., SIGIR 2018, arXiv 1804.07931, section 3.1, DIVISION.
    """

    def conditional_logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return log(r / (1 - r)) of the clipped ratios r, computed from log r."""
        log_q = tf.math.log_sigmoid(outputs)
        columns = [outputs[:, 0]]
        for label, before in list(enumerate(self.tree.parents))[1:]:
            log_ratio = tf.minimum(log_q[:, label] - log_q[:, before], _LARGEST_LOG_RATIO)
            columns.append(log_ratio - tf.math.log(-tf.math.expm1(log_ratio)))
        return tf.stack(columns, axis=1)

    def terms(self, outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Return each network's cross entropies."""
        return cross_entropy(outputs, labels)
