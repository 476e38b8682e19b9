"""Losses of a label chain over the entire space, in log space.

A chain of K labels has logits a_1 .. a_K of the conditional probabilities P(y_k = 1 | y_1 .. y_{k-1} = 1). Each label's
loss is the cross entropy of the running product p_k = σ(a_1) ... σ(a_k) over all impressions; there is no loss on a
conditional probability itself. For (click, conversion): p_1 = pCTR, σ(a_2) = pCVR, p_2 = pCTCVR.

With sample weights w each impression's cross entropy counts w times, and a step divides by the sum of the weights of
its whole batch, over all ranks: the weighted mean, which does not depend on how the batch is spread over ranks, nor on
the scale of the weights. An impression of weight 2 changes a model as two of weight 1 do.

Source: Ma et al., "Entire Space Multi-Task Model", SIGIR 2018, arXiv 1804.07931, equations 1-4.
"""

import tensorflow as tf


def running_log_probabilities(logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return log p_k and log(1 - p_k) of every running product.

    ``1 - p_k = (1 - p_{k-1}) + p_{k-1} · σ(-a_k)``, added in log space: exact down to probabilities that float32 can
    not tell from 0 or 1, with finite gradients everywhere.

    Args:
        logits: float32 [B, K].

    Returns:
        Two float32 [B, K].
    """
    log_sigmoid, log_sigmoid_of_minus = tf.math.log_sigmoid(logits), tf.math.log_sigmoid(-logits)
    log_p = tf.cumsum(log_sigmoid, axis=1)
    columns = [log_sigmoid_of_minus[:, 0]]
    for k in range(1, logits.shape[1]):
        columns.append(_log_add_exp(columns[-1], log_p[:, k - 1] + log_sigmoid_of_minus[:, k]))
    return log_p, tf.stack(columns, axis=1)


def chain_loss_sums(logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
    """Return each label's cross entropy, summed over the impressions.

    Args:
        logits: float32 [B, K].
        labels: float32 [B, K], 0/1, never 1 after a 0.
        weights: float32 [B], sample weights; None: 1 each.

    Returns:
        float32 [K]; for (click, conversion) the sums of ctr_loss and ctcvr_loss. Zeros for B = 0.
    """
    log_p, log_not_p = running_log_probabilities(logits)
    log_likelihood = labels * log_p + (1.0 - labels) * log_not_p
    if weights is not None:
        log_likelihood *= weights[:, tf.newaxis]
    return -tf.reduce_sum(log_likelihood, axis=0)


def _log_add_exp(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    # At a tie both ops pass the gradient to their first argument; the swapped order gives each half, as it should be
    high, low = tf.maximum(a, b), tf.minimum(b, a)
    return high + tf.math.log1p(tf.exp(low - high))
