"""Settings of each network of this project, small ones: what holds for one must hold for all (``NETWORKS``)."""

from typing import Any

NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {"network": "mlp", "hidden_units": [6, 4]},
    "dcn": {"network": "dcn", "hidden_units": [6, 4], "cross_layers": 2, "cross_rank": 3},
    "dcn, one layer, shared": {
        "network": "dcn",
        "hidden_units": [6],
        "cross_layers": 1,
        "cross_rank": 3,
        "share_network": True,
    },
    "din": {"network": "din", "attend": ["history=item"], "attention_units": [5], "hidden_units": [6, 4]},
    "din, a linear term, without shared embeddings": {
        "network": "din",
        "attend": ["history=tags"],
        "attention_units": [],
        "hidden_units": [6],
        "linear_scale": 2.0,
        "linear_lists": "unit",
        "share_embeddings": False,
    },
    "deepfm": {"network": "deepfm", "hidden_units": [6, 4], "linear_scale": 2.0, "linear_lists": "unit"},
    "deepfm, shared": {"network": "deepfm", "hidden_units": [6], "share_network": True},
}
"""The group ``model``, by a name."""
