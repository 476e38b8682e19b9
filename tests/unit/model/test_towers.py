"""Which networks a model has: one a label, or one for all."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.errors import ConfigError
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.pooled_fields import FieldLayout
from esmm_dist.model.towers import make_towers

HERE = "tests.unit.model.own_networks"
LAYOUT = FieldLayout(user_dims={"u": 2}, impression_dims={"i": 3})


def made(*labels: int, **settings: Any) -> list[tuple[str, int]]:
    """Return class and outputs of each network."""
    towers = make_towers(ModelConfig(hidden_units=(4,), **settings), LAYOUT, labels, seed=1)
    return [(type(tower).__name__, tower.outputs) for tower in towers]


@pytest.mark.parametrize(
    ("labels", "settings", "expected"),
    [
        ([0, 1], {}, [("Mlp", 1)] * 2),
        ([0, 1], {"share_network": True}, [("Mlp", 2)]),
        ([0, 1, 2], {"network": (f"{HERE}:FirstColumn", "mlp")}, [("FirstColumn", 1), ("Mlp", 1), ("Mlp", 1)]),
        # A head beside those of the labels has a network like its label's, or is an output of the shared one
        ([0, 1, 0], {"network": ("mlp", f"{HERE}:FirstColumn")}, [("Mlp", 1), ("FirstColumn", 1), ("Mlp", 1)]),
        ([0, 1, 1], {"share_network": True}, [("Mlp", 3)]),
        ([0, 1, 1], {"network": (f"{HERE}:Shared",)}, [("Shared", 3)]),
    ],
)
def test_each_head_has_a_network_of_its_label_or_all_share_one(labels, settings, expected):
    assert made(*labels, **settings) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": ("mlp",) * 3}, "network has 3 values, but the schema has 2 labels"),
        ({"network": ("mlp", f"{HERE}:Shared")}, "network is mlp, .*:Shared, but .*:Shared is one network for all"),
        ({"network": ("mlp", "mlp"), "share_network": True}, "network names 2 networks, but with share_network one"),
        ({"network": ()}, "network is empty. Name one network"),
        ({"hidden_units": (4, 4), "dropout": (0.1, 0.2, 0.3)}, "dropout has 3 numbers, but hidden_units has 2 layers"),
        ({"dropout": ()}, r"dropout is \[\]. Set numbers in \[0, 1\)"),
    ],
)
def test_settings_that_do_not_fit_each_other_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        make_towers(ModelConfig(**settings), LAYOUT, [0, 1], seed=1)


def test_a_shared_network_starts_with_the_values_of_the_first_of_several():
    config = ModelConfig(hidden_units=(4,))
    first = make_towers(config, LAYOUT, [0, 1], seed=1)[0]
    (shared,) = make_towers(ModelConfig(hidden_units=(4,), share_network=True), LAYOUT, [0, 1], seed=1)
    np.testing.assert_array_equal(first.weights[0].numpy(), shared.weights[0].numpy())
    assert shared.weights[-1].shape == (2,)


def test_a_network_of_ones_own_sees_fields_by_name():
    (tower,) = make_towers(ModelConfig(network=(f"{HERE}:ByFields",)), LAYOUT, [0], seed=1)
    pooled = LAYOUT.pooled(tf.constant([[1.0, 2.0]]), tf.ones([2, 3]), tf.constant([0, 0], tf.int64))
    np.testing.assert_array_equal(tower(pooled), [[3.0 + 3.0]] * 2)  # the sums of both fields


def test_the_error_about_a_field_that_is_not_seen_names_the_network():
    layout = FieldLayout(user_dims={"v": 2}, impression_dims={"i": 3})
    with pytest.raises(ConfigError, match="ByFields': The network sees no field 'u'"):
        make_towers(ModelConfig(network=(f"{HERE}:ByFields",)), layout, [0], seed=1)


def test_what_keras_warns_of_a_network_that_fails_is_not_shown(recwarn):
    with pytest.raises(ConfigError, match="WrongField': The network sees no field 'no such'"):
        make_towers(ModelConfig(network=(f"{HERE}:WrongField",)), LAYOUT, [0], seed=1)
    assert not recwarn.list


def test_what_a_network_warns_of_that_can_be_made_is_shown():
    with pytest.warns(UserWarning, match="slow"):
        make_towers(ModelConfig(network=(f"{HERE}:Warns",)), LAYOUT, [0], seed=1)
