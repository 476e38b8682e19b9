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


def check_network_name(name: str) -> None:
    """Check that a name is one of ``NETWORKS`` or has the form ``package.module:Class``.

    Raises:
        ConfigError: It is neither.
    """
    if name not in NETWORKS and not all(name.partition(":")):
        raise ConfigError(
            f"network is '{name}'.{nearest_hint(name, NETWORKS)} Or give package.module:Class of your own network."
        )
