"""Products of every two fields: the paper's formula in small numbers, and what a grouped batch may not change."""

import itertools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.errors import ConfigError
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.networks.deepfm import DeepFm
from esmm_dist.model.networks.mlp import Mlp
from esmm_dist.model.pooled_fields import FieldLayout, PooledFields
from tests.support.slopes import check_slopes

LAYOUT = FieldLayout(user_dims={"a": 2, "b": 2}, impression_dims={"c": 2, "d": 2, "e": 2})
RANDOM = np.random.default_rng(0)
GROUP_OF = np.array([0, 0, 1, 2, 2, 2])
USER, IMPRESSION = RANDOM.normal(size=(3, 4)).astype(np.float32), RANDOM.normal(size=(6, 6)).astype(np.float32)


def pooled(user=USER, impression=IMPRESSION, group_of=GROUP_OF, layout: FieldLayout = LAYOUT) -> PooledFields:
    return layout.pooled(tf.constant(user), tf.constant(impression), tf.constant(group_of))


def deepfm_of(layout: FieldLayout = LAYOUT, *, outputs: int = 1, **settings: Any) -> DeepFm:
    return DeepFm(layout, ModelConfig(**{"hidden_units": (4,), **settings}), outputs=outputs, seed=1)


def product_weights(network: DeepFm) -> Any:
    return next(v for v in network.trainable_variables if v.name == "product_weights")


def test_three_fields_of_small_numbers_are_those_computed_by_hand():
    layout = FieldLayout(user_dims={"u": 2}, impression_dims={"i": 2, "j": 2})
    network = deepfm_of(layout)
    found = network.products(
        pooled(np.array([[1, 2]], np.float32), np.array([[3, 4, 5, 6]], np.float32), [0], layout)
    ).numpy()
    # Column 0 holds 1, 3, 5: 1·3 + 1·5 + 3·5 = 23. Column 1 holds 2, 4, 6: 2·4 + 2·6 + 4·6 = 44
    assert found.tolist() == [[23, 44]]


def test_products_are_those_of_every_two_fields_of_an_impression():
    fields = np.concatenate([USER[GROUP_OF], IMPRESSION], axis=1).reshape(6, 5, 2)
    expected = sum(fields[:, f] * fields[:, g] for f, g in itertools.combinations(range(5), 2))
    np.testing.assert_allclose(deepfm_of().products(pooled()).numpy(), expected, rtol=1e-5, atol=1e-5)


def test_the_outputs_are_those_of_the_perceptron_plus_the_inner_products_at_first():
    network = deepfm_of(outputs=2)
    mlp = Mlp(LAYOUT, ModelConfig(hidden_units=(4,)), outputs=2, seed=1)
    inner = network.products(pooled()).numpy().sum(axis=1, keepdims=True)
    np.testing.assert_allclose(network(pooled()).numpy(), mlp(pooled()).numpy() + inner, rtol=1e-5, atol=1e-5)
    product_weights(network).assign([[1, 0], [1, 2]])
    second = mlp(pooled()).numpy()[:, 1] + 2 * network.products(pooled()).numpy()[:, 1]
    np.testing.assert_allclose(network(pooled()).numpy()[:, 1], second, rtol=1e-5, atol=1e-5)


def test_gradients_are_the_slopes_of_the_products():
    network = deepfm_of(hidden_units=())  # without kinks of ReLU
    user, impression = tf.constant(USER), tf.constant(IMPRESSION)
    with tf.GradientTape() as tape:
        tape.watch([user, impression])
        fields = LAYOUT.pooled(user, impression, tf.constant(GROUP_OF))
        loss = tf.reduce_sum(network(fields) * tf.range(1.0, 7.0)[:, None])
    found = tape.gradient(loss, [user, impression, product_weights(network).value])

    def loss_at(user: np.ndarray, impression: np.ndarray) -> float:
        out = network(pooled(user, impression)).numpy().astype(np.float64)
        return float((out[:, 0] * np.arange(1.0, 7.0)).sum())

    # Central differences of a polynomial of the second degree are exact but for rounding
    gradients = [gradient.numpy() for gradient in found[:2]]
    check_slopes(loss_at, [USER, IMPRESSION], gradients, step=1e-2, tolerance=0.01)
    products = network.products(pooled()).numpy()
    expected = (products * np.arange(1.0, 7.0)[:, None]).sum(axis=0)
    np.testing.assert_allclose(found[2].numpy()[:, 0], expected, rtol=1e-5)


def test_an_impression_does_not_depend_on_the_size_of_its_group():
    network = deepfm_of()
    alone = pooled(USER[GROUP_OF], IMPRESSION, np.arange(6))
    np.testing.assert_allclose(network(pooled()).numpy(), network(alone).numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("groups", "impressions"), [(0, 0), (1, 0)])
def test_a_batch_may_be_empty(groups, impressions):
    empty = pooled(USER[:groups], IMPRESSION[:impressions], np.zeros(impressions, np.int64))
    assert deepfm_of()(empty).shape == (0, 1)


def test_a_log_may_have_no_field_of_users():
    layout = FieldLayout(user_dims={}, impression_dims={"c": 2, "d": 2})
    found = deepfm_of(layout).products(pooled(USER[:, :0], IMPRESSION[:, :4], GROUP_OF, layout)).numpy()
    np.testing.assert_allclose(found, IMPRESSION[:, :2] * IMPRESSION[:, 2:4], rtol=1e-5, atol=1e-5)


def test_products_are_float32_with_mixed_precision():
    network = deepfm_of()
    exact = network.products(pooled()).numpy()
    network.mixed_precision = True
    np.testing.assert_array_equal(network.products(pooled()).numpy(), exact)
    assert network(pooled()).dtype == tf.float32


def test_dropout_leaves_the_products_alone():
    network = deepfm_of(dropout=(0.9,))
    kernel = next(v for v in network.trainable_variables if v.name == "kernel_1")
    kernel.assign(tf.zeros_like(kernel))  # what the perceptron has dropped no longer shows
    seed = tf.constant([1, 2])
    np.testing.assert_array_equal(network(pooled(), dropout_seed=seed).numpy(), network(pooled()).numpy())


def test_fields_of_several_dimensions_are_refused_with_what_to_do():
    layout = FieldLayout(user_dims={"user_id": 16}, impression_dims={"item_id": 16, "gender": 8})
    with pytest.raises(
        ConfigError, match=r"'user_id' has 16 columns and 'gender' 8\. Give all fields one embedding_dim"
    ):
        deepfm_of(layout)
