"""Probabilities and cross entropies of a label tree over the entire space, in log space.

A tree of K labels has logits a_1 .. a_K of the conditional probabilities P(y_k = 1 | the label before it is 1). The
running product p_k is the product of σ(a) along the path from the root to label k: P(y_k = 1) of an impression. For
(click, conversion): p_1 = pCTR, σ(a_2) = pCVR, p_2 = pCTCVR.

Source: Ma et al., "Entire Space Multi-Task Model", SIGIR 2018, arXiv 1804.07931, equations 1-3.
"""

import tensorflow as tf

from esmm_dist.schema.label_tree import LabelTree


def running_log_probabilities(logits: tf.Tensor, tree: LabelTree) -> tuple[tf.Tensor, tf.Tensor]:
    """Return log p_k and log(1 - p_k) of every running product.

    ``1 - p_k = (1 - p_j) + p_j · σ(-a_k)`` with label j before label k, added in log space: exact down to probabilities
    that float32 can not tell from 0 or 1, with finite gradients everywhere.

    Args:
        logits: float32 [B, K]
        tree: the labels

    Returns:
        Two float32 [B, K].
    """
    log_sigmoid, log_sigmoid_of_minus = tf.math.log_sigmoid(logits), tf.math.log_sigmoid(-logits)
    if tree.is_chain:
        log_p = tf.cumsum(log_sigmoid, axis=1)
    else:
        log_p = tf.stack(tree.sums(tf.unstack(log_sigmoid, axis=1)), axis=1)
    columns: list[tf.Tensor] = []
    for label, before in enumerate(tree.parents):
        own = log_sigmoid_of_minus[:, label]
        columns.append(own if before < 0 else _log_add_exp(columns[before], log_p[:, before] + own))
    return log_p, tf.stack(columns, axis=1)


def product_cross_entropies(log_p: tf.Tensor, log_not_p: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Return the cross entropy of each running product: float32 [B, K].

    Args:
        log_p: float32 [B, K], from ``running_log_probabilities``
        log_not_p: float32 [B, K], from ``running_log_probabilities``
        labels: float32 [B, K], 0/1
    """
    return -(labels * log_p + (1.0 - labels) * log_not_p)


def _log_add_exp(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    # At a tie both ops pass the gradient to their first argument; the swapped order gives each half, as it should be
    high, low = tf.maximum(a, b), tf.minimum(b, a)
    return high + tf.math.log1p(tf.exp(low - high))
