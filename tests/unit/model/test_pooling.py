"""Pooling as one sparse product, against gather and segment sum."""

import numpy as np
import tensorflow as tf

from esmm_dist.model.pooling import pool, pool_gradient

ROWS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
# segment 1 and the last one, 5, are empty; row 4 is used twice by one segment; row 5 by none
INDICES = np.array([[0, 2], [2, 0], [2, 4], [2, 4], [3, 1], [4, 3], [4, 0]])
WEIGHTS = np.array([1.0, 0.5, 2.0, -1.0, 0.0, 3.0, 1.5], dtype=np.float32)


def by_gather(rows: tf.Tensor) -> tf.Tensor:
    gathered = tf.gather(rows, INDICES[:, 1]) * WEIGHTS[:, None]
    return tf.math.unsorted_segment_sum(gathered, INDICES[:, 0], 6)


def test_pooling_equals_gather_and_segment_sum_and_empty_segments_are_zero():
    pooled = pool(tf.constant(ROWS), tf.constant(INDICES), tf.constant(WEIGHTS), tf.constant(6, tf.int64))
    np.testing.assert_allclose(pooled.numpy(), by_gather(tf.constant(ROWS)).numpy(), rtol=1e-6)
    assert pooled.shape == (6, 3)
    assert not pooled.numpy()[[1, 5]].any()


def test_the_gradient_equals_that_of_gather_and_segment_sum():
    upstream = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    rows = tf.constant(ROWS)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        loss = tf.reduce_sum(by_gather(rows) * upstream)
    expected = tf.convert_to_tensor(tape.gradient(loss, rows)).numpy()
    found = pool_gradient(tf.constant(upstream), tf.constant(INDICES), tf.constant(WEIGHTS), tf.constant(6, tf.int64))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-7)
    assert not found.numpy()[5].any()


def test_no_ids_pool_to_zeros():
    nothing = tf.zeros([0, 2], tf.int64)
    pooled = pool(tf.zeros([0, 3]), nothing, tf.zeros([0]), tf.constant(2, tf.int64))
    assert pooled.numpy().tolist() == [[0.0] * 3] * 2
    assert pool_gradient(pooled, nothing, tf.zeros([0]), tf.constant(0, tf.int64)).shape == (0, 3)
