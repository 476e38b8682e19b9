"""A model in one line."""

import pytest

from esmm_dist.model.config import ModelConfig
from esmm_dist.model.in_words import model_in_words


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "mlp for click, cart and purchase, objective esmm"),
        ({"network": ("din", "mlp")}, "din for click, mlp for cart and purchase, objective esmm"),
        (
            {"network": ("mlp", "dcn", "mlp"), "objective": "amt"},
            "mlp for click and purchase, dcn for cart, objective amt",
        ),
        ({"network": ("mmoe",), "objective": "dcmt"}, "one mmoe for click, cart and purchase, objective dcmt"),
        ({"share_network": True}, "one mlp for click, cart and purchase, objective esmm"),
        ({"network": ("own.module:Own",)}, "own.module:Own for click, cart and purchase, objective esmm"),
    ],
)
def test_networks_are_named_with_their_labels_and_the_objective(settings, expected):
    assert model_in_words(ModelConfig(**settings), ["click", "cart", "purchase"]) == expected
