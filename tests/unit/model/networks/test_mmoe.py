"""Multi-gate mixture of experts, by hand."""

from math import exp

import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.networks.mmoe import Mmoe
from esmm_dist.model.pooled_fields import FieldLayout

LAYOUT = FieldLayout(user_dims={"u": 1}, impression_dims={"i": 1})


def test_each_label_weighs_the_same_experts_by_its_own_gate():
    config = ModelConfig(network=("mmoe",), experts=2, expert_units=(1,), hidden_units=(1,))
    network = Mmoe(LAYOUT, config, outputs=2, seed=1)
    values = {
        # columns: expert 0, expert 1, gate 0 of both experts, gate 1 of both
        "expert_kernel_0_user": [[1.0, 0.0, 1.0, 0.0, 0.0, 0.0]],
        "expert_kernel_0_impression": [[0.0, -1.0, 0.0, 0.0, 0.0, 1.0]],
        "expert_bias_0": [0.5, 4.0],
        "tower_kernel_0": [[[1.0]], [[2.0]]],
        "tower_bias_0": [[0.0], [-1.0]],
        "tower_kernel_1": [[[1.0]], [[10.0]]],
        "tower_bias_1": [[0.25], [0.0]],
    }
    weights = {variable.name: variable for variable in network.weights}
    assert weights.keys() == values.keys()
    for name, value in values.items():
        weights[name].assign(value)
    pooled = LAYOUT.pooled(tf.constant([[2.0]]), tf.constant([[1.0], [5.0]]), tf.constant([0, 0], tf.int64))
    found = network(pooled)
    expected = []
    for user, item in ((2.0, 1.0), (2.0, 5.0)):
        expert_0, expert_1 = max(user + 0.5, 0.0), max(4.0 - item, 0.0)
        share_0 = exp(user) / (exp(user) + 1)  # softmax of (user, 0)
        share_1 = 1 / (1 + exp(item))  # softmax of (0, item)
        f_0 = share_0 * expert_0 + (1 - share_0) * expert_1
        f_1 = share_1 * expert_0 + (1 - share_1) * expert_1
        expected.append([max(f_0, 0.0) + 0.25, 10 * max(2 * f_1 - 1, 0.0)])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("setting", ["experts", "own_experts", "expert_levels"])
def test_none_of_what_there_must_be_one_is_refused(setting):
    with pytest.raises(ConfigError, match=f"{setting} is 0. Set 1 or more"):
        build(ModelConfig, {setting: 0}, where="test")


@pytest.mark.parametrize("units", [(), (8, 0)])
def test_an_expert_has_a_layer_of_some_units(units):
    with pytest.raises(ConfigError, match=r"expert_units is \[.*\]. Give at least one layer, of 1 unit or more"):
        ModelConfig(expert_units=units)
