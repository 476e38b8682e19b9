"""Progressive layered extraction, by hand."""

from math import exp
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.model.config import ModelConfig
from esmm_dist.model.networks.ple import Ple
from esmm_dist.model.pooled_fields import FieldLayout

LAYOUT = FieldLayout(user_dims={"u": 1}, impression_dims={"i": 1})
USER, ITEM = 2.0, 3.0
POOLED = LAYOUT.pooled(tf.constant([[USER]]), tf.constant([[ITEM]]), tf.constant([0], tf.int64))


def relu(value: float) -> float:
    return max(value, 0.0)


def softmax(*logits: float) -> list[float]:
    return [exp(logit) / sum(map(exp, logits)) for logit in logits]


def weigh(gate: list[float], experts: list[float]) -> float:
    return sum(share * value for share, value in zip(gate, experts, strict=True))


def make(levels: int, values: dict[str, Any]) -> Ple:
    """Return a network of one own expert a label, one shared one, linear towers, and these weights."""
    config = ModelConfig(
        network=("ple",), experts=1, own_experts=1, expert_units=(1,), expert_levels=levels, hidden_units=()
    )
    network = Ple(LAYOUT, config, outputs=2, seed=1)
    weights = {variable.name: variable for variable in network.weights}
    assert weights.keys() == values.keys()
    for name, value in values.items():
        weights[name].assign(value)
    return network


TOWERS: dict[str, Any] = {"tower_kernel_0": [[[1.0]], [[-2.0]]], "tower_bias_0": [[0.5], [0.0]]}
# columns: experts own of label 0, own of label 1, shared; gate of label 0 over (own 0, shared); of label 1 over (own 1,
# shared)
OF_USER, OF_ITEM, BIAS = [1.0, 0.0, 1.0, 0.1, 0.2, 0.3, 0.4], [0.0, 1.0, -0.5, 0.0, 0.5, 0.0, -0.5], [0.0, 1.0, 0.25]


def test_one_level_weighs_own_and_shared_experts():
    network = make(1, {"level_0_kernel_0_user": [OF_USER], "level_0_kernel_0_impression": [OF_ITEM],
                       "level_0_bias_0": BIAS, **TOWERS})  # fmt: skip
    own_0, own_1, shared = relu(USER), relu(ITEM + 1), relu(USER - 0.5 * ITEM + 0.25)
    g_0 = weigh(softmax(0.1 * USER, 0.2 * USER + 0.5 * ITEM), [own_0, shared])
    g_1 = weigh(softmax(0.3 * USER, 0.4 * USER - 0.5 * ITEM), [own_1, shared])
    np.testing.assert_allclose(network(POOLED), [[g_0 + 0.5, -2 * g_1]], rtol=1e-6)


def test_the_second_level_sees_what_the_gates_of_the_first_made():
    # the shared gate of the first level, over (own 0, own 1, shared)
    user, item = [*OF_USER, 0.2, 0.0, -0.1], [*OF_ITEM, 0.0, 0.3, 0.0]
    network = make(
        2,
        {
            "level_0_kernel_0_user": [user],
            "level_0_kernel_0_impression": [item],
            "level_0_bias_0": BIAS,
            # columns: the expert, and the gate over (own, shared)
            "level_1_own_0_kernel_0": [[2.0, 0.5, 0.0]],
            "level_1_own_0_bias_0": [0.0],
            "level_1_own_1_kernel_0": [[-1.0, 0.0, 0.25]],
            "level_1_own_1_bias_0": [9.0],
            "level_1_shared_kernel_0": [[1.5]],
            "level_1_shared_bias_0": [-1.0],
            **TOWERS,
        },
    )
    own_0, own_1, shared = relu(USER), relu(ITEM + 1), relu(USER - 0.5 * ITEM + 0.25)
    g_0 = weigh(softmax(0.1 * USER, 0.2 * USER + 0.5 * ITEM), [own_0, shared])
    g_1 = weigh(softmax(0.3 * USER, 0.4 * USER - 0.5 * ITEM), [own_1, shared])
    g_s = weigh(softmax(0.2 * USER, 0.3 * ITEM, -0.1 * USER), [own_0, own_1, shared])
    shared = relu(1.5 * g_s - 1.0)
    last_0 = weigh(softmax(0.5 * g_0, 0.0), [relu(2 * g_0), shared])
    last_1 = weigh(softmax(0.0, 0.25 * g_1), [relu(9 - g_1), shared])
    np.testing.assert_allclose(network(POOLED), [[last_0 + 0.5, -2 * last_1]], rtol=1e-6)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_last_level_has_no_shared_gate(levels):
    config = ModelConfig(network=("ple",), experts=2, own_experts=3, expert_units=(4,), expert_levels=levels)
    network = Ple(LAYOUT, config, outputs=2, seed=1)
    shapes = {variable.name: tuple(variable.shape) for variable in network.weights}
    every = 2 * 3 + 2
    gates = 2 * (3 + 2)
    first = every * 4 + gates + (every if levels > 1 else 0)
    assert shapes["level_0_kernel_0_user"] == (1, first)
    for level in range(1, levels):
        assert shapes[f"level_{level}_own_1_kernel_0"] == (4, 3 * 4 + 5)
        assert shapes[f"level_{level}_shared_kernel_0"] == (4, 2 * 4 + (every if level < levels - 1 else 0))
