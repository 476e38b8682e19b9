"""What holds for every network: gradients, grouped batches, masks, mixed precision, start values."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.config import build
from esmm_dist.model.base_network import BaseNetwork
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.network_names import NETWORKS
from esmm_dist.model.pooled_fields import FieldLayout, ListRows, PooledFields
from esmm_dist.model.towers import make_towers
from tests.support.network_cases import NETWORK_CASES

LAYOUT = FieldLayout(
    user_dims={"user": 3, "history": 3}, impression_dims={"item": 3, "shop": 3}, attended={"history": "item"}
)
RANDOM = np.random.default_rng(0)
GROUP_OF = np.array([0, 0, 1, 2, 2, 2])
USER = RANDOM.normal(size=(3, 6)).astype(np.float32)
IMPRESSION = RANDOM.normal(size=(6, 6)).astype(np.float32)
LENGTHS = np.array([2, 0, 3])
ROWS, WEIGHTS = RANDOM.normal(size=(5, 3)).astype(np.float32), np.array([1.0, 2.0, 0.5, 1.0, 3.0], np.float32)


def history(elements: list[int], lengths: list[int], rows: Any = ROWS) -> dict[str, ListRows]:
    """Return the attended list with some of its elements."""
    places = tf.constant(elements, tf.int64)
    return {"history": ListRows(tf.gather(rows, places), tf.constant(lengths, tf.int64), tf.gather(WEIGHTS, places))}


LISTS = history([0, 1, 2, 3, 4], LENGTHS.tolist())
POOLED = LAYOUT.pooled(tf.constant(USER), tf.constant(IMPRESSION), tf.constant(GROUP_OF), LISTS)

pytestmark = pytest.mark.parametrize("case", NETWORK_CASES)


def towers_of(case: str, *, seed: int = 1, **settings: Any) -> list[BaseNetwork]:
    config = build(ModelConfig, {"hidden_units": [6, 4], **NETWORK_CASES[case], **settings}, where="test")
    return make_towers(config, LAYOUT, [0, 1, 1], seed=seed)


def outputs(towers: list[BaseNetwork], pooled: PooledFields = POOLED, seed: list[int] | None = None) -> tf.Tensor:
    dropout_seed = None if seed is None else tf.constant(seed)
    return tf.concat([tower(pooled, dropout_seed=dropout_seed) for tower in towers], axis=1)


def test_gradients_are_those_of_differences(case):
    towers, random = towers_of(case), np.random.default_rng(4)  # with which no ReLU is at its bend
    inputs = {"user": tf.Variable(USER), "impression": tf.Variable(IMPRESSION)}
    if "din" in case:
        inputs["rows"] = tf.Variable(ROWS)
    variables = [*inputs.values(), *(variable.value for tower in towers for variable in tower.trainable_variables)]
    scales = tf.constant(random.normal(size=(6, 3)))

    @tf.function
    def loss() -> tf.Tensor:
        lists = history([0, 1, 2, 3, 4], LENGTHS.tolist(), inputs.get("rows", ROWS))
        pooled = LAYOUT.pooled(inputs["user"], inputs["impression"], tf.constant(GROUP_OF), lists)
        return tf.reduce_sum(scales * tf.cast(outputs(towers, pooled), tf.float64))

    for variable in variables:  # biases too: a ReLU at exactly 0 has no derivative
        variable.assign_add(0.1 * random.normal(size=variable.shape).astype(np.float32))
    with tf.GradientTape() as tape:
        found = loss()
    gradients = [None if each is None else tf.convert_to_tensor(each) for each in tape.gradient(found, variables)]
    for variable, gradient in zip(variables, gradients, strict=True):
        assert gradient is not None, variable.name  # each weight takes part
        before, errors = variable.numpy(), []
        for _ in range(5):
            way = random.normal(size=variable.shape).astype(np.float32)
            way *= 2e-4 / np.linalg.norm(way)
            variable.assign(before + way)
            above = float(loss())
            variable.assign(before - way)
            difference = (above - float(loss())) / 2
            expected = float(tf.reduce_sum(gradient * way))
            errors.append(abs(difference - expected) - 0.02 * abs(expected))
        variable.assign(before)
        # float32: each output is off by some 1e-7
        assert np.median(errors) < 5e-6, variable.name


def test_a_grouped_batch_gives_what_one_impression_a_group_gives(case):
    towers = towers_of(case)
    lists = history([0, 1, 0, 1, *([2, 3, 4] * 3)], LENGTHS[GROUP_OF].tolist())
    alone = LAYOUT.pooled(tf.constant(USER[GROUP_OF]), tf.constant(IMPRESSION), tf.range(6, dtype=tf.int64), lists)
    # A matrix product may add in another order for another number of rows
    np.testing.assert_allclose(outputs(towers), outputs(towers, alone), rtol=1e-5, atol=1e-6)


def test_an_empty_batch_has_no_outputs(case):
    none = LAYOUT.pooled(tf.zeros([0, 6]), tf.zeros([0, 6]), tf.zeros([0], tf.int64), history([], []))
    assert outputs(towers_of(case), none).shape == (0, 3)


def test_masks_follow_the_seed_alone_and_differ_between_steps(case):
    towers = towers_of(case, dropout=[0.5, 0.25])
    first = outputs(towers, seed=[7, 1]).numpy()
    np.testing.assert_array_equal(first, outputs(towers, seed=[7, 1]))
    others = [outputs(towers, seed=seed).numpy() for seed in ([7, 2], [8, 1])] + [outputs(towers).numpy()]
    assert all(np.any(first != other) for other in others)
    np.testing.assert_array_equal(outputs(towers), outputs(towers_of(case)))  # off outside training


def test_mixed_precision_is_near_and_float32_at_the_end(case):
    towers = towers_of(case)
    exact = outputs(towers).numpy()
    for tower in towers:
        tower.mixed_precision = True
    rough = outputs(towers)
    assert rough.dtype == tf.float32
    # bfloat16 has 8 bits of precision: each product is off by 2^-8 at most, of sums that partly cancel
    np.testing.assert_allclose(rough, exact, atol=0.05 * float(np.abs(exact).max()))
    assert np.any(rough.numpy() != exact)


def test_start_values_follow_the_seed_and_differ_between_outputs(case):
    first, same, other = outputs(towers_of(case)), outputs(towers_of(case)), outputs(towers_of(case, seed=2))
    np.testing.assert_array_equal(first, same)
    assert np.all(np.any(first.numpy() != other.numpy(), axis=0))  # an output whose units are all 0 is 0 in both
    assert np.any(first.numpy()[:, 0] != first.numpy()[:, 1])


def test_each_network_has_a_case(case):
    assert set(NETWORKS) <= {name for settings in NETWORK_CASES.values() for name in settings["network"]}
