"""Cross layers: the paper's formula in small numbers, and what a grouped batch may not change."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.model.config import ModelConfig
from esmm_dist.model.networks.dcn import Dcn
from esmm_dist.model.networks.mlp import Mlp
from esmm_dist.model.pooled_fields import FieldLayout, PooledFields
from tests.support.slopes import check_slopes

LAYOUT = FieldLayout(user_dims={"u": 3}, impression_dims={"i": 2})
RANDOM = np.random.default_rng(0)
GROUP_OF = np.array([0, 0, 1, 2, 2, 2])
USER, IMPRESSION = RANDOM.normal(size=(3, 3)).astype(np.float32), RANDOM.normal(size=(6, 2)).astype(np.float32)


def pooled(user=USER, impression=IMPRESSION, group_of=GROUP_OF, layout: FieldLayout = LAYOUT) -> PooledFields:
    return layout.pooled(tf.constant(user), tf.constant(impression), tf.constant(group_of))


def dcn_of(layout: FieldLayout = LAYOUT, *, outputs: int = 1, seed: int = 1, **settings: Any) -> Dcn:
    given = {"network": ("dcn",), "hidden_units": (4,), "cross_layers": 2, "cross_rank": 2, **settings}
    return Dcn(layout, ModelConfig(**given), outputs=outputs, seed=seed)


def by_name(network: Dcn) -> dict[str, Any]:
    return {variable.name: variable for variable in network.trainable_variables}


def by_the_paper(network: Dcn, x0: np.ndarray, layers: int) -> np.ndarray:
    """Equation 2, an impression a row: x_{l+1} = x_0 ⊙ (U V^T x_l + b) + x_l."""
    weights = {name: variable.numpy() for name, variable in by_name(network).items()}
    x = x0
    for layer in range(layers):
        u, v, b = (weights[f"cross_{name}_{layer}"] for name in "uvb")  # u is stored transposed
        x = x0 * (x @ v @ u + b) + x
    return x


def test_two_cross_layers_of_small_numbers_are_those_computed_by_hand():
    layout = FieldLayout(user_dims={"u": 1}, impression_dims={"i": 1})
    network = dcn_of(layout, cross_rank=1)
    weights = by_name(network)
    for name, value in {"u_0": [[1, 2]], "v_0": [[3], [1]], "b_0": [0, 1], "u_1": [[1, 0]], "v_1": [[1], [1]]}.items():
        weights[f"cross_{name}"].assign(np.array(value, np.float32))
    fields = pooled(np.array([[2]], np.float32), np.array([[1]], np.float32), [0], layout)
    # x_0 = (2, 1): V'x_0 = 3·2 + 1·1 = 7, U·7 = (7, 14), + b = (7, 15), · x_0 = (14, 15), + x_0 = (16, 16) = x_1
    # V'x_1 = 32, U·32 = (32, 0), · x_0 = (64, 0), + x_1 = (80, 16) = x_2
    assert network.crossed(fields, 2).numpy().tolist() == [[80, 16]]
    weights["cross_kernel"].assign([[1], [10]])
    assert network.cross_outputs(fields).numpy().tolist() == [[80 + 160]]


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_grouped_layers_are_those_of_the_paper(layers, outputs):
    network = dcn_of(cross_layers=layers, outputs=outputs)
    for name, variable in by_name(network).items():
        if name.startswith("cross_b"):
            variable.assign(RANDOM.normal(size=variable.shape))
    x0 = np.concatenate([USER[GROUP_OF], IMPRESSION], axis=1)
    expected = by_the_paper(network, x0, layers)
    np.testing.assert_allclose(network.crossed(pooled(), layers).numpy(), expected, rtol=1e-5, atol=1e-6)
    outputs = expected @ by_name(network)["cross_kernel"].numpy()
    np.testing.assert_allclose(network.cross_outputs(pooled()).numpy(), outputs, rtol=1e-5, atol=1e-5)


def test_the_outputs_are_the_sum_of_those_of_the_perceptron_and_of_the_cross_layers():
    network = dcn_of(outputs=2)
    kernel = by_name(network)["cross_kernel"]
    with_cross = network(pooled()).numpy()
    crossed = network.crossed(pooled(), 2).numpy() @ kernel.numpy()
    kernel.assign(tf.zeros_like(kernel))
    mlp = Mlp(LAYOUT, ModelConfig(hidden_units=(4,)), outputs=2, seed=1)
    np.testing.assert_array_equal(network(pooled()).numpy(), mlp(pooled()).numpy())
    np.testing.assert_allclose(with_cross, mlp(pooled()).numpy() + crossed, rtol=1e-5, atol=1e-6)
    assert with_cross.shape == (6, 2)


def test_gradients_are_the_slopes_of_the_outputs():
    network = dcn_of(hidden_units=())  # without kinks of ReLU
    weights = [variable.value for variable in network.trainable_variables]
    fields = pooled()
    with tf.GradientTape() as tape:
        tape.watch([fields.user, fields.impression])
        loss = tf.reduce_sum(network(layout_again(fields)) * tf.range(1.0, 7.0)[:, None])
    found = tape.gradient(loss, [fields.user, fields.impression, *weights])

    def loss_at(user: np.ndarray, impression: np.ndarray) -> float:
        out = network(pooled(user, impression)).numpy().astype(np.float64)
        return float((out[:, 0] * np.arange(1.0, 7.0)).sum())

    # The outputs are polynomials of the third degree: the error of a central difference is of the order step²
    gradients = [gradient.numpy() for gradient in found[:2]]
    check_slopes(loss_at, [USER, IMPRESSION], gradients, step=1e-2, tolerance=0.02)
    assert all(np.any(gradient.numpy()) for gradient in found)


def layout_again(fields: PooledFields) -> PooledFields:
    return LAYOUT.pooled(fields.user, fields.impression, fields.group_of_impression)


def test_an_impression_does_not_depend_on_the_size_of_its_group():
    network = dcn_of()
    alone = pooled(USER[GROUP_OF], IMPRESSION, np.arange(6))
    np.testing.assert_allclose(network(pooled()).numpy(), network(alone).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("groups", "impressions"), [(0, 0), (1, 0)])
def test_a_batch_may_be_empty(groups, impressions):
    empty = pooled(USER[:groups], IMPRESSION[:impressions], np.zeros(impressions, np.int64))
    assert dcn_of()(empty).shape == (0, 1)


def test_mixed_precision_multiplies_in_bfloat16_and_returns_float32():
    network = dcn_of()
    exact = network.cross_outputs(pooled())
    network.mixed_precision = True
    rough = network.cross_outputs(pooled())
    assert rough.dtype == network(pooled()).dtype == tf.float32
    # bfloat16 has 8 bits: each product is off by 2^-8 at most, of sums that partly cancel, twice
    np.testing.assert_allclose(rough.numpy(), exact.numpy(), atol=0.05 * float(np.abs(exact.numpy()).max()))
    assert np.any(rough.numpy() != exact.numpy())


def test_dropout_leaves_the_cross_layers_alone():
    network = dcn_of(dropout=(0.9,))
    kernel = by_name(network)["kernel_1"]
    kernel.assign(tf.zeros_like(kernel))  # what the perceptron has dropped no longer shows
    seed = tf.constant([1, 2])
    np.testing.assert_array_equal(network(pooled(), dropout_seed=seed).numpy(), network(pooled()).numpy())


def test_start_weights_follow_the_seed_and_layers_differ():
    first, again, other = (by_name(dcn_of(seed=seed)) for seed in (1, 1, 2))
    for name in first:
        np.testing.assert_array_equal(first[name].numpy(), again[name].numpy())
    assert np.all(first["cross_u_0"].numpy() != other["cross_u_0"].numpy())
    assert np.all(first["cross_u_0"].numpy() != first["cross_u_1"].numpy())
    assert np.all(first["cross_u_0"].numpy() != first["cross_v_0"].numpy().T)
