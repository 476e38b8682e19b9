"""Settings of the model that its networks would not read are refused, before any data is read."""

import dataclasses
from typing import Any

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.network_names import FOR_ALL_LABELS, NETWORKS, READ_BY
from esmm_dist.model.objectives.config import objective_names
from esmm_dist.model.stored_settings import stored_model_settings
from esmm_dist.model.towers import network_class

OWN = "tests.unit.model.own_networks:FirstColumn"
CHANGED: dict[str, Any] = {
    "experts": 8,
    "own_experts": 3,
    "expert_units": (64, 32),
    "expert_levels": 1,
    "attend": ("seen=item",),
    "attention_units": (),
    "cross_layers": 3,
    "cross_rank": 4,
}


@pytest.mark.parametrize("setting", READ_BY)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_setting_that_another_network_reads_is_refused(network, setting):
    given: dict[str, Any] = {"network": (network,), setting: CHANGED[setting]}
    if network in READ_BY[setting]:
        ModelConfig(**given)
    else:
        with pytest.raises(ConfigError, match=f"{setting} is .*{READ_BY[setting][-1]} alone use.*network is {network}"):
            ModelConfig(**given)


def test_every_setting_of_some_networks_alone_is_held_in_one_place():
    """Those that are new are to be added: the others are read by all networks, or by none of them."""
    by_all = {
        *("network", "share_network", "fields", "hidden_units", "dropout", "linear_scale", "linear_lists"),
        *("task_weights", "objective", "share_embeddings", "oversampling_factor", "propensity_floor", "risk_weight"),
        *("imputation_weight", "counterfactual_weight"),
    }
    assert {f.name for f in dataclasses.fields(ModelConfig)} == by_all | set(READ_BY)


def test_the_remedy_names_the_networks():
    with pytest.raises(ConfigError) as e:
        ModelConfig(network=("mlp", "dcn"), expert_units=(64, 32))
    assert str(e.value) == (
        "expert_units is 64 and 32, which mmoe and ple alone use, and network is mlp and dcn. Leave expert_units out, "
        "or set network to mmoe or ple."
    )


def test_one_of_several_networks_or_ones_own_may_read_a_setting():
    ModelConfig(network=("mlp", "dcn"), cross_layers=3)
    ModelConfig(network=("mlp", OWN), **CHANGED)
    ModelConfig(network=(OWN,), hidden_units=(), dropout=(0.5,))


def test_dropout_without_hidden_layers_is_warned_of():
    assert ModelConfig(hidden_units=()).warning is None
    assert ModelConfig(dropout=(0.5,)).warning is None
    assert ModelConfig(network=(OWN,), hidden_units=(), dropout=(0.5,)).warning is None
    said = ModelConfig(hidden_units=(), dropout=(0.5,)).warning
    assert said == "dropout is 0.5, but hidden_units is empty: there is no hidden layer to drop from."


@pytest.mark.parametrize("lists", ["pooled", "unit"])
def test_what_lists_add_to_a_linear_term_that_there_is_not_is_refused(lists):
    ModelConfig(linear_lists=lists)
    with pytest.raises(ConfigError, match=f"linear_lists is {lists}, but linear_scale is 0: there is no linear term"):
        ModelConfig(linear_scale=0.0, linear_lists=lists)


def test_runs_that_have_stored_such_settings_stay_readable():
    stored = stored_model_settings({"linear_scale": 0.0, "linear_lists": "unit"})
    assert stored["linear_lists"] is None
    assert stored_model_settings({"linear_scale": 3.0, "linear_lists": "unit"})["linear_lists"] == "unit"


def test_the_networks_for_all_labels_are_those_that_say_so():
    assert set(FOR_ALL_LABELS) == {name for name in NETWORKS if network_class(name).always_shared}


@pytest.mark.parametrize("network", FOR_ALL_LABELS)
@pytest.mark.parametrize("objective", objective_names())
def test_a_network_for_all_labels_needs_embeddings_that_they_share(network, objective):
    ModelConfig(network=(network,), objective=objective, share_embeddings=True)
    with pytest.raises(
        ConfigError, match=f"network is {network}, .* objective {objective} .* share_embeddings to true"
    ):
        ModelConfig(network=(network,), objective=objective, share_embeddings=False)
