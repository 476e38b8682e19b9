"""From the arguments of a Python call to the settings of a task: as flags of the command become settings."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from esmm_dist.api.shipped_settings import settings_path
from esmm_dist.config import Named, typed_settings
from esmm_dist.flat_settings import merge, nested_settings
from esmm_dist.yaml_text import YamlText, read_text

SettingsFile = str | Path | Mapping[str, Any] | None
"""Settings in groups: a YAML file, the name of a shipped one, or a mapping; None: there are none."""

NAME = Named("")


def call_settings(
    cls: type, given: Mapping[str, Any], config: SettingsFile = None, earlier: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return nested and typed settings: an earlier run's, over these those of a file, over these those of the call.

    Args:
        cls: settings class, whose own checks are not made yet
        given: settings of the call, by the names of flags; None is a value, such as "chosen from the log"
        config: the file
        earlier: stored settings

    Raises:
        ConfigError: A name is unknown (the nearest known one is named) or given twice, a value has the wrong type, or
            the file cannot be read.
    """
    base = typed_settings(Named("the run's stored settings"), cls, earlier or {})
    typed = typed_settings(NAME, cls, nested_settings(cls, {name: plain(value) for name, value in given.items()}))
    return _without_merging_values(merge(base, _of_file(cls, config)), typed)


def plain(value: Any) -> Any:
    """Return a value as a file of settings would hold it: paths as texts, NumPy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def _of_file(cls: type, config: SettingsFile) -> dict[str, Any]:
    if config is None:
        return {}
    if isinstance(config, Mapping):
        return typed_settings(Named("config"), cls, config)
    path = settings_path(str(config), cls)
    file = YamlText(read_text(path), where=str(path))
    return typed_settings(file, cls, file.data)


def _without_merging_values(below: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the settings of a call over others; one whose value is a mapping is replaced, as a flag replaces it."""
    groups = {name: value for name, value in given.items() if isinstance(value, Mapping)}
    merged = {**below, **given}
    for name, value in groups.items():
        old = below.get(name)
        merged[name] = {**old, **value} if isinstance(old, Mapping) else value
    return merged
