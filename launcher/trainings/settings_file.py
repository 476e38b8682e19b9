"""Settings of ``esmm train`` that several trainings share: their checks, and the file that a training gets."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from esmm_dist.config import Named, typed_settings
from esmm_dist.errors import ConfigError
from esmm_dist.train.config import TrainConfig
from esmm_dist.yaml_text import YamlWriter


def shared_settings(name: str, settings: Mapping[str, Any], not_given: Mapping[tuple[str, ...], str]) -> dict[str, Any]:
    """Return settings of ``esmm train``, typed.

    Args:
        name: what they are called in errors
        settings: as a ``--config`` file of ``esmm train`` has them
        not_given: settings that they may not have, by the names on the way to each, with what to do instead

    Raises:
        ConfigError: one is unknown, of the wrong type, or not to be given
    """
    typed = typed_settings(Named(name), TrainConfig, settings)
    for keys, reason in not_given.items():
        if has(typed, keys):
            raise ConfigError(f"{name} has {'.'.join(keys)}. {reason}: leave it out.")
    return typed


def has(mapping: Mapping[str, Any], keys: Sequence[str]) -> bool:
    """Return whether a nested mapping has a value at the end of a path."""
    found: Any = mapping
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            return False
        found = found[key]
    return True


def settings_text(settings: Mapping[str, Any], comments: Sequence[str]) -> str:
    """Return settings as YAML, below comments."""
    head = "".join(f"# {line}\n" for line in comments)
    return head + yaml.dump(settings, Dumper=YamlWriter, sort_keys=False, allow_unicode=True, default_flow_style=None)


def without_baseline(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same without the baseline of the last evaluation, which would be the same for all trainings."""
    evaluation = {"baseline": False, **settings.get("evaluation", {})}
    return {**settings, "evaluation": evaluation}


def differences(before: Mapping[str, Any], now: Mapping[str, Any], most: int = 5) -> str:
    """Return in words where two nested mappings differ, up to so many places; empty where they do not."""
    old, new = _flat(before), _flat(now)
    differing = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    said = ", ".join(f"{name} was {_said(old.get(name))} and is {_said(new.get(name))}" for name in differing[:most])
    return said + (f", and {len(differing) - most} more" if len(differing) > most else "")


def _flat(value: Any, before: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {} if value is None else {before: value}
    flat: dict[str, Any] = {}
    for name, each in value.items():
        flat |= _flat(each, f"{before}.{name}" if before else str(name))
    return flat


def _said(value: Any) -> str:
    """Return a value as it stands in a settings file."""
    if value is None:
        return "not there"
    return yaml.dump(value, Dumper=YamlWriter, default_flow_style=True, width=1000).removesuffix("...\n").strip()
