"""The chain's losses and gradients against their definition in float64."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.model.losses import product_cross_entropies, running_log_probabilities
from esmm_dist.schema.label_tree import LabelTree


def chain(labels: int) -> LabelTree:
    return LabelTree.of([f"label {place}" for place in range(labels)])


def loss_sums(logits: tf.Tensor, labels: tf.Tensor, tree: LabelTree | None = None) -> tf.Tensor:
    running = running_log_probabilities(logits, tree or chain(logits.shape[1]))
    return tf.reduce_sum(product_cross_entropies(*running, labels), axis=0)


def log_probabilities(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log p_k and log(1 - p_k) of p_k = σ(a_1) ... σ(a_k), in float64."""
    log_p = np.cumsum(-np.logaddexp(0.0, -logits.astype(np.float64)), axis=1)
    return log_p, np.log(-np.expm1(log_p))


def losses_and_gradients(logits, labels, weights) -> tuple[np.ndarray, np.ndarray]:
    tensor = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        sums = loss_sums(tensor, tf.constant(labels, tf.float32))
        loss = tf.reduce_sum(sums * tf.constant(weights, tf.float32))
    return sums.numpy(), tape.gradient(loss, tensor).numpy()


def gradients_by_hand(logits: np.ndarray, labels: np.ndarray, weights) -> np.ndarray:
    """d/da_j of the cross entropy of p_k, j <= k: -σ(-a_j) if y_k = 1, else p_k / (1 - p_k) · σ(-a_j)."""
    logits = logits.astype(np.float64)
    log_p, log_not_p = log_probabilities(logits)
    off = np.exp(-np.logaddexp(0.0, logits))  # σ(-a)
    gradients = np.zeros_like(logits)
    for k in range(logits.shape[1]):
        of_product = np.where(labels[:, k] == 1, -1.0, np.exp(log_p[:, k] - log_not_p[:, k]))
        gradients[:, : k + 1] += weights[k] * of_product[:, None] * off[:, : k + 1]
    return gradients


CHAINS = {2: [[0, 0], [1, 0], [1, 1]], 3: [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]]}


@pytest.mark.parametrize("labels", [2, 3])
def test_losses_and_gradients_equal_the_definition(labels):
    random = np.random.default_rng(labels)
    logits = random.normal(scale=4, size=(200, labels)).astype(np.float32)
    truths = np.array(CHAINS[labels])[random.integers(0, labels + 1, 200)]
    weights = [1.0, 0.5, 2.0][:labels]
    log_p, log_not_p = log_probabilities(logits)
    expected = -(truths * log_p + (1 - truths) * log_not_p).sum(axis=0)
    sums, gradients = losses_and_gradients(logits, truths, weights)
    np.testing.assert_allclose(sums, expected, rtol=1e-5)
    np.testing.assert_allclose(gradients, gradients_by_hand(logits, truths, weights), rtol=1e-4, atol=1e-7)


def test_losses_of_a_click_without_conversion_by_hand():
    # pCTR = σ(0) = 1/2, pCVR = σ(ln 3) = 3/4, pCTCVR = 3/8
    sums, _ = losses_and_gradients([[0.0, np.log(3.0)]], [[1, 0]], [1, 1])
    np.testing.assert_allclose(sums, [np.log(2.0), -np.log(5 / 8)], rtol=1e-6)


@pytest.mark.parametrize("first", [-80.0, 0.0, 80.0])
@pytest.mark.parametrize("second", [-80.0, 0.0, 80.0])
def test_losses_and_gradients_are_exact_at_logits_where_probabilities_round_to_0_or_1(first, second):
    logits = np.array([[first, second]] * 3, dtype=np.float32)
    truths = np.array(CHAINS[2])
    log_p, log_not_p = log_probabilities(logits)
    sums, gradients = losses_and_gradients(logits, truths, [1, 1])
    expected = -(truths * log_p + (1 - truths) * log_not_p).sum(axis=0)
    np.testing.assert_allclose(sums, expected, rtol=1e-6)
    np.testing.assert_allclose(gradients, gradients_by_hand(logits, truths, [1, 1]), rtol=1e-5, atol=1e-30)


@given(st.lists(st.floats(-1000, 1000, width=32), min_size=3, max_size=3))
def test_losses_and_gradients_are_finite_at_any_logit(row):
    truths = np.array(CHAINS[3])
    sums, gradients = losses_and_gradients([row] * 4, truths, [1, 1, 1])
    assert np.all(np.isfinite(sums))
    assert np.all(np.isfinite(gradients))


def test_both_ways_not_to_convert_share_the_gradient_when_they_are_equally_likely():
    # 1 - pCTR = 1/3 = pCTR (1 - pCVR): float32 may find the two logarithms exactly equal near here
    around = np.float32(np.log(2.0))
    logits = np.array([[np.nextafter(around, np.float32(9 * side), dtype=np.float32), 0.0] for side in (-1, 0, 1)])
    logits[1, 0] = around
    truths = np.zeros((3, 2))
    _, gradients = losses_and_gradients(logits, truths, [0, 1])
    np.testing.assert_allclose(gradients, gradients_by_hand(logits, truths, [0, 1]), rtol=1e-5)


def test_the_gradient_is_right_where_the_two_logarithms_are_bit_for_bit_equal():
    # log(1 - p_1) = log σ(-a_1) and log p_1 + log σ(-a_2): equal when a_2 -> -inf makes the last term 0 and a_1 = 0
    _, gradients = losses_and_gradients([[0.0, -200.0]], [[0, 0]], [0, 1])
    log_p, log_not_p = running_log_probabilities(tf.constant([[0.0, -200.0]]), chain(2))
    assert log_p[0, 0] == log_not_p[0, 0]
    # p_2 = σ(0) σ(-200) = 0: nothing to push down in either logit
    np.testing.assert_allclose(gradients, [[0.0, 0.0]], atol=1e-30)


def test_the_first_loss_does_not_reach_the_later_logits():
    logits = np.random.default_rng(0).normal(size=(50, 3))
    truths = np.array(CHAINS[3])[np.random.default_rng(1).integers(0, 4, 50)]
    _, gradients = losses_and_gradients(logits, truths, [1, 0, 0])
    assert np.all(gradients[:, 0] != 0)
    assert not gradients[:, 1:].any()
    _, gradients = losses_and_gradients(logits, truths, [0, 1, 0])
    assert np.all(gradients[:, :2] != 0)
    assert not gradients[:, 2].any()


def test_an_empty_batch_has_no_loss():
    assert loss_sums(tf.zeros([0, 2]), tf.zeros([0, 2])).numpy().tolist() == [0.0, 0.0]


def test_two_labels_after_the_same_one_have_the_losses_of_two_chains():
    random = np.random.default_rng(3)
    logits = random.normal(scale=4, size=(50, 3)).astype(np.float32)
    truths = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1]], np.float32)[random.integers(0, 5, 50)]
    tree = LabelTree.of(["click", "purchase", "favourite"], {"favourite": "click"})
    sums = loss_sums(tf.constant(logits), tf.constant(truths), tree).numpy()
    for label in (1, 2):
        of_chain = loss_sums(tf.constant(logits[:, [0, label]]), tf.constant(truths[:, [0, label]])).numpy()
        np.testing.assert_array_equal(sums[[0, label]], of_chain)
