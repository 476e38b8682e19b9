"""The networks that tests go through: what holds for ``mlp`` holds for each of them.

A new network is added here, with settings of the group ``model`` that make all of its parts small and different. Then
the tests of ``test_all_networks.py``, of trainings, exports, and ranks with servers go through it too.
"""

from typing import Any

NETWORK_CASES: dict[str, dict[str, Any]] = {
    "mlp": {"network": ["mlp"]},
    "mlp, shared": {"network": ["mlp"], "share_network": True},
    "mmoe": {"network": ["mmoe"], "experts": 3, "expert_units": [7, 5]},
    "ple": {"network": ["ple"], "experts": 2, "own_experts": 2, "expert_units": [5], "expert_levels": 2},
    "ple of one level": {"network": ["ple"], "experts": 1, "own_experts": 2, "expert_units": [6], "expert_levels": 1},
    "dcn": {"network": ["dcn"], "cross_layers": 2, "cross_rank": 3},
    "deepfm": {"network": ["deepfm"]},
    "din": {"network": ["din"], "attend": ["history=item"], "attention_units": [3]},
}
"""Settings by what they are of; hidden layers, dropout and what else they have in common is each test's."""

NETWORK_SETTINGS: dict[str, dict[str, Any]] = {
    **{name: {"hidden_units": [6, 4], **settings} for name, settings in NETWORK_CASES.items()},
    "dcn, one layer, shared": {
        "network": "dcn",
        "hidden_units": [6],
        "cross_layers": 1,
        "cross_rank": 3,
        "share_network": True,
    },
    "din, a linear term, without shared embeddings": {
        "network": "din",
        "attend": ["history=tags"],
        "attention_units": [],
        "hidden_units": [6],
        "linear_scale": 2.0,
        "linear_lists": "unit",
        "share_embeddings": False,
    },
    "deepfm, a linear term": {
        "network": "deepfm",
        "hidden_units": [6, 4],
        "linear_scale": 2.0,
        "linear_lists": "unit",
    },
    "deepfm, shared": {"network": "deepfm", "hidden_units": [6], "share_network": True},
}
"""The group ``model`` of trainings, by a name: the cases, and what of them meets other settings."""
