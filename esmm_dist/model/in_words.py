"""A model in one line, for people."""

from collections.abc import Sequence

from esmm_dist.model.config import ModelConfig
from esmm_dist.model.network_names import FOR_ALL_LABELS
from esmm_dist.words import in_words


def model_in_words(config: ModelConfig, labels: Sequence[str]) -> str:
    """Return which networks a model has and what it minimises: "din for click and conversion, objective esmm".

    Args:
        config: settings of the model
        labels: names of the labels

    Raises:
        ConfigError: There are more networks than labels.
    """
    names = config.networks_for(len(labels))
    if config.share_network or names[0] in FOR_ALL_LABELS:
        networks = f"one {names[0]} for {in_words(labels)}"
    else:
        parts = [
            f"{name} for {in_words(label for label, own in zip(labels, names, strict=True) if own == name)}"
            for name in dict.fromkeys(names)
        ]
        networks = ", ".join(parts)
    return f"{networks}, objective {config.objective}"
