"""Read the settings of a model as a run has stored them, which may have begun with an earlier version."""

from collections.abc import Mapping
from typing import Any

from esmm_dist.config import to_mapping
from esmm_dist.model.config import ModelConfig

_LISTS = ("network", "dropout", "task_weights")


def stored_model_settings(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored ``model`` group as this version would store it.

    ``base_network`` is what ``network`` was called; settings that did not exist have their defaults, which change
    nothing; a number or name that is a list now is a list of it alone.
    """
    settings = dict(stored)
    if "base_network" in settings:
        settings["network"] = settings.pop("base_network")
    settings = to_mapping(ModelConfig()) | settings
    if settings["linear_scale"] == 0:
        settings["linear_lists"] = None  # was taken, and had no effect
    return settings | {name: _list(settings[name]) for name in _LISTS}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
