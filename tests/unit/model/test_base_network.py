"""Plug-ins and the settings of the model."""

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.networks.mlp import Mlp
from esmm_dist.model.towers import network_class

HERE = "tests.unit.model.own_networks"


def test_mlp_is_the_projects_own():
    assert network_class("mlp") is Mlp


def test_a_users_class_is_found_by_package_module_and_name():
    assert network_class(f"{HERE}:FirstColumn").__name__ == "FirstColumn"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "mlpp",
            r"network is 'mlpp'\. Did you mean 'mlp'\? Known: .*Or give package\.module:Class of your own network",
        ),
        ("mod:", r"network is 'mod:'\. Known: "),
        ("no.such.module:Net", r"'no\.such\.module:Net' cannot be loaded: No module named 'no'.*PYTHONPATH"),
        (f"{HERE}:Missing", "cannot be loaded: module .* has no attribute 'Missing'"),
        (f"{HERE}:NoNetwork", "is not a subclass of esmm_dist.model.base_network.BaseNetwork"),
        (f"{HERE}:not_even_a_class", "is not a subclass"),
    ],
)
def test_a_network_that_cannot_be_used_is_refused_with_the_reason(name, message):
    with pytest.raises(ConfigError, match=message):
        network_class(name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_units": (8, 0)}, r"hidden_units is \[8, 0\]. Every layer needs at least 1 unit"),
        ({"dropout": (1.0,)}, r"dropout is \[1.0\]. Set numbers in \[0, 1\)"),
        ({"dropout": (0.5, -0.1)}, r"dropout is \[0.5, -0.1\]. Set numbers in \[0, 1\)"),
        ({"task_weights": (1.0, -2.0)}, r"task_weights is \[1.0, -2.0\]. Weights must not be negative"),
    ],
)
def test_a_model_setting_out_of_range_is_named_with_its_value(settings, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**settings)


def test_every_loss_weighs_one_unless_told_otherwise():
    assert ModelConfig().weights_for(3) == (1.0, 1.0, 1.0)
    assert ModelConfig(task_weights=(0.5, 2.0)).weights_for(2) == (0.5, 2.0)


def test_the_last_weight_counts_for_the_labels_behind_it():
    assert ModelConfig(task_weights=(1.0, 2.0)).weights_for(4) == (1.0, 2.0, 2.0, 2.0)


def test_more_weights_than_labels_are_refused():
    with pytest.raises(ConfigError, match="task_weights has 3 values, but the schema has 2 labels"):
        ModelConfig(task_weights=(1.0, 1.0, 1.0)).weights_for(2)
