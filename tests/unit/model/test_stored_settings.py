"""The model's settings as earlier versions have stored them."""

import pytest

from esmm_dist.config import build, to_mapping
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.stored_settings import stored_model_settings

EARLIER = {
    "base_network": "mlp",
    "hidden_units": [8, 4],
    "dropout": 0.25,
    "linear_scale": 0.0,
    "linear_lists": None,
    "task_weights": [],
}
"""As version 0.0 stored them before ``network`` was a setting."""


def test_settings_of_an_earlier_run_are_what_this_version_would_store():
    now = ModelConfig(network=("mlp",), hidden_units=(8, 4), dropout=(0.25,), linear_scale=0.0)
    assert stored_model_settings(EARLIER) == to_mapping(now)
    assert build(ModelConfig, stored_model_settings(EARLIER), where="test") == now


@pytest.mark.parametrize("config", [ModelConfig(), ModelConfig(network=("a:B", "mlp"), fields=("user",))])
def test_settings_of_this_version_stay(config):
    assert stored_model_settings(to_mapping(config)) == to_mapping(config)
