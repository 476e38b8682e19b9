"""The networks of this project by the names that settings give them; nothing is loaded here."""

from esmm_dist.errors import ConfigError
from esmm_dist.near_names import nearest_hint

NETWORKS = {
    "dcn": "esmm_dist.model.networks.dcn:Dcn",
    "deepfm": "esmm_dist.model.networks.deepfm:DeepFm",
    "din": "esmm_dist.model.networks.din:Din",
    "mlp": "esmm_dist.model.networks.mlp:Mlp",
    "mmoe": "esmm_dist.model.networks.mmoe:Mmoe",
    "ple": "esmm_dist.model.networks.ple:Ple",
}
"""Place of each network's class. README.md of ``esmm_dist/model`` says when to take which."""

FOR_ALL_LABELS = ("mmoe", "ple")
"""Those that are one network for all labels (``BaseNetwork.always_shared``)."""

READ_BY = {
    "experts": ("mmoe", "ple"),
    "own_experts": ("ple",),
    "expert_units": ("mmoe", "ple"),
    "expert_levels": ("ple",),
    "attend": ("din",),
    "attention_units": ("din",),
    "cross_layers": ("dcn",),
    "cross_rank": ("dcn",),
}
"""Networks that read a setting of the model; the others would ignore it. One's own may read any."""


def check_network_name(name: str) -> None:
    """Check that a name is one of ``NETWORKS`` or has the form ``package.module:Class``.

    Raises:
        ConfigError: It is neither.
    """
    if name not in NETWORKS and not all(name.partition(":")):
        raise ConfigError(
            f"network is '{name}'.{nearest_hint(name, NETWORKS)} Or give package.module:Class of your own network."
        )


def is_own(name: str) -> bool:
    """Return whether a network is none of this project, so that what it reads is not known."""
    return name not in NETWORKS
