"""Settings of each network of this project, small ones: what holds for one must hold for all (``NETWORKS``)."""

from typing import Any

from tests.support.network_cases import NETWORK_CASES

NETWORKS: dict[str, dict[str, Any]] = {
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
"""The group ``model``, by a name."""
