"""Settings by their flat names: each name is in one group only, so that none needs to say its group.

``embedding_dim`` is the setting ``embedding.embedding_dim``. Flags of the command and arguments of Python are
such names.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, get_type_hints

from esmm_dist.config import setting_name, unknown_setting
from esmm_dist.errors import ConfigError


class FlatSetting(NamedTuple):
    """Where a setting is."""

    path: tuple[str, ...]
    """Its groups, and its name."""
    hint: Any
    """Its type."""


def flat_settings(cls: type) -> dict[str, FlatSetting]:
    """Return the settings of a class and of its groups, by name."""
    found: dict[str, FlatSetting] = {}
    hints = get_type_hints(cls)
    for f in dataclasses.fields(cls):
        hint: Any = hints[f.name]
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            for name, inner in flat_settings(hint).items():
                assert name not in found
                found[name] = FlatSetting((f.name, *inner.path), inner.hint)
        else:
            name = setting_name(f.name)
            found[name] = FlatSetting((name,), hint)
    return found


def nested_settings(cls: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in their groups.

    Args:
        cls: a settings class
        given: settings by flat name (``embedding_dim``), dotted name (``embedding.embedding_dim``), or as a group
            (``embedding``: a mapping)

    Raises:
        ConfigError: a name is unknown (the nearest known one is named), or given twice
    """
    known = flat_settings(cls)
    groups = {each.path[0] for each in known.values() if len(each.path) > 1}
    nested: dict[str, Any] = {}
    for name, value in given.items():
        if name in groups and isinstance(value, Mapping):
            for inner, setting in value.items():
                _put(nested, (name, str(inner)), setting)
            continue
        dotted = {".".join(each.path): each for each in known.values()}
        name = setting_name(name)  # continue is a word of Python: an argument is continue_
        found = known.get(name) or dotted.get(name)
        if found is None:
            raise ConfigError(unknown_setting([name], known))
        _put(nested, found.path, value)
    return nested


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one nested mapping over another: groups are merged, everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _put(nested: dict[str, Any], path: Iterable[str], value: Any) -> None:
    *groups, name = path
    for group in groups:
        nested = nested.setdefault(group, {})
    if name in nested:
        raise ConfigError(f"{name} is given twice, alone and in its group. Give it once.")
    nested[name] = value
