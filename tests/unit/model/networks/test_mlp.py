"""The tower, whose first layer is split between user and impression."""

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.model.config import ModelConfig
from esmm_dist.model.networks.mlp import Mlp
from esmm_dist.model.pooled_fields import FieldLayout, PooledFields

RANDOM = np.random.default_rng(0)
GROUP_OF = np.array([0, 0, 1, 2, 2, 2])
USER, IMPRESSION = RANDOM.normal(size=(3, 5)).astype(np.float32), RANDOM.normal(size=(6, 4)).astype(np.float32)


def layout(user: int, impression: int) -> FieldLayout:
    return FieldLayout(user_dims={"u": user}, impression_dims={"i": impression})


LAYOUT = layout(5, 4)


def pooled(user=USER, impression=IMPRESSION) -> PooledFields:
    return LAYOUT.pooled(tf.constant(user), tf.constant(impression), tf.constant(GROUP_OF))


def mlp_of(fields: FieldLayout = LAYOUT, *, outputs: int = 1, seed: int = 1, **settings: Any) -> Mlp:
    return Mlp(fields, ModelConfig(**settings), outputs=outputs, seed=seed)


def weights_of(mlp: Mlp) -> list[tf.Tensor]:
    return [variable.value for variable in mlp.trainable_variables]


def unsplit(mlp: Mlp, fields: PooledFields) -> tf.Tensor:
    """The same tower on the concatenation of user and impression, an impression a row."""
    by_name = {variable.name: variable.value for variable in mlp.trainable_variables}
    hidden = tf.concat([tf.gather(fields.user, fields.group_of_impression), fields.impression], 1)
    first = tf.concat([by_name["kernel_0_user"], by_name["kernel_0_impression"]], 0)
    layers = sum(name.startswith("bias") for name in by_name)
    for layer in range(layers):
        kernel = first if layer == 0 else by_name[f"kernel_{layer}"]
        hidden = tf.matmul(hidden, kernel) + by_name[f"bias_{layer}"]
        if layer < layers - 1:
            hidden = tf.maximum(hidden, 0.0)
    return hidden


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("hidden_units", [(7, 3), (8,), ()])
def test_the_split_tower_equals_the_unsplit_one_in_values_and_gradients(hidden_units, outputs):
    mlp = mlp_of(outputs=outputs, hidden_units=hidden_units)
    results = []
    for tower in (mlp, lambda fields: unsplit(mlp, fields)):
        fields = pooled()
        watched = [fields.user, fields.impression, *weights_of(mlp)]
        with tf.GradientTape() as tape:
            tape.watch(watched)
            logits = tower(fields)
            loss = tf.reduce_sum(logits * tf.range(1.0, 7.0)[:, None] * tf.range(1.0, outputs + 1.0))
        results.append([logits, *tape.gradient(loss, watched)])
    assert results[0][0].shape == (6, outputs)
    for found, expected in zip(*results, strict=True):
        values, reference = (tf.convert_to_tensor(tensor).numpy() for tensor in (found, expected))
        np.testing.assert_allclose(values, reference, rtol=1e-5, atol=1e-6)


def test_weights_start_glorot_uniform_over_the_unsplit_shape_and_biases_at_zero():
    mlp = mlp_of(layout(300, 100), hidden_units=(200,))
    by_name = {variable.name: variable.numpy() for variable in mlp.trainable_variables}
    first = np.concatenate([by_name["kernel_0_user"], by_name["kernel_0_impression"]])
    limit = math.sqrt(6 / (400 + 200))
    assert np.abs(first).max() <= limit
    assert first.var() == pytest.approx(limit**2 / 3, rel=0.02)  # of 80,000 uniform values: 0.3% standard error
    assert not by_name["bias_0"].any()
    assert not by_name["bias_1"].any()


def test_start_weights_follow_the_seed():
    def first(seed: int) -> np.ndarray:
        return np.array(mlp_of(hidden_units=(3,), seed=seed).trainable_variables[0].numpy())

    np.testing.assert_array_equal(first(1), first(1))
    assert np.all(first(1) != first(2))


def test_dropout_is_off_without_a_seed():
    mlp = mlp_of(hidden_units=(7,), dropout=(0.9,))
    np.testing.assert_allclose(mlp(pooled()).numpy(), unsplit(mlp, pooled()).numpy(), rtol=1e-5, atol=1e-6)


def test_dropout_zeroes_its_share_and_keeps_the_mean():
    mlp = mlp_of(layout(1, 1), hidden_units=(20_000,), dropout=(0.25,))
    hidden = tf.ones([1, 20_000])
    dropped = mlp.dropped(hidden, tf.constant([3, 4]), 0).numpy()
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (dropped == 0).mean() == pytest.approx(0.25, abs=0.02)  # six standard errors


def test_masks_are_a_function_of_seed_step_and_layer():
    mlp = mlp_of(layout(1, 1), hidden_units=(64, 64), dropout=(0.5,))

    def mask(seed: int, step: int, layer: int) -> list[bool]:
        found = mlp.dropped(tf.ones([1, 64]), tf.constant([seed, step]), layer).numpy() > 0
        return [bool(kept) for kept in found[0]]

    assert mask(1, 1, 0) == mask(1, 1, 0)
    # 2^64 masks each: two equal ones are no chance
    masks = [mask(1, step, layer) for step in (1, 2, 3) for layer in (0, 1)]
    assert len({tuple(m) for m in masks}) == 6
    assert mask(1001, 1, 0) not in masks


def test_mixed_precision_multiplies_hidden_layers_in_bfloat16_and_the_last_in_float32():
    mlp = mlp_of(hidden_units=(7, 3))
    exact = mlp(pooled())
    mlp.mixed_precision = True
    rough = mlp(pooled())
    assert rough.dtype == tf.float32
    assert all(variable.dtype == "float32" for variable in mlp.trainable_variables)
    # bfloat16 has 8 bits of precision: each product is off by 2^-8 at most, of sums that partly cancel
    np.testing.assert_allclose(rough.numpy(), exact.numpy(), atol=0.03 * float(np.abs(exact.numpy()).max()))
    assert np.any(rough.numpy() != exact.numpy())
    last = mlp._kernels[-1]
    last.assign(last * (1 + 2**-12))  # which bfloat16 would round away
    assert np.all(mlp(pooled()).numpy() != rough.numpy())


def test_a_linear_tower_has_only_its_last_layer_and_so_stays_float32():
    mlp = mlp_of(hidden_units=())
    exact = mlp(pooled())
    mlp.mixed_precision = True
    np.testing.assert_array_equal(mlp(pooled()).numpy(), exact.numpy())
