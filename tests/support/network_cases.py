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
