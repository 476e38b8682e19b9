"""Build settings classes from a part of a YAML text, with errors that name the line.

``esmm_dist.config.build`` does the same for whole files and names the setting only.
"""

import dataclasses
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import pydantic

from esmm_dist.config import nearest_hint
from esmm_dist.errors import ConfigError
from launcher.cluster.yaml_lines import Path, YamlText, dotted


def build_settings(cls: type, mapping: Any, text: YamlText, path: Path) -> Any:
    """Build a settings class and those nested in it.

    Args:
        cls: A settings class.
        mapping: Its settings; a part of what ``text`` holds, or with places resolved.
        text: Knows the lines.
        path: Where the mapping stands in the text.

    Raises:
        ConfigError: A setting is unknown, missing, of the wrong type, or refused by its class.
    """
    at = dotted(path)
    if not isinstance(mapping, Mapping):
        raise text.error(path, f"{at or 'the file'} is {mapping!r}, not a mapping. Write 'name: value' lines below it.")
    hints = get_type_hints(cls)
    known = [f.name for f in dataclasses.fields(cls)]
    values = {}
    for key, value in mapping.items():
        if key not in known:
            raise text.error([*path, str(key)], unknown([*path, str(key)], known))
        values[key] = _value(hints[key], value, text, [*path, key])
    for f in dataclasses.fields(cls):
        if f.name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise text.error(path, f"{dotted([*path, f.name])} is missing, and has no default. Add it.")
    try:
        return cls(**values)
    except ConfigError as e:
        named = _first_named(str(e), mapping)
        raise text.error([*path, named] if named else path, f"{at}: {e}" if at else str(e)) from e


def unknown(path: Path, known: list[str]) -> str:
    """Return the message about a setting that there is not."""
    return f"there is no setting '{dotted(path)}'.{nearest_hint(str(path[-1]), known)}"


def _value(hint: Any, value: Any, text: YamlText, path: list[str | int]) -> Any:
    item = _item_class(hint)
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        return build_settings(hint, {} if value is None else value, text, path)
    if item is not None and get_origin(hint) is dict and isinstance(value, Mapping):
        return {str(name): build_settings(item, each, text, [*path, str(name)]) for name, each in value.items()}
    if item is not None and get_origin(hint) is tuple and isinstance(value, list):
        return tuple(build_settings(item, each, text, [*path, i]) for i, each in enumerate(value))
    if isinstance(value, bool) and bool not in (hint, *get_args(hint)):  # to pydantic it would be the number 0 or 1
        raise text.error(path, f"{dotted(path)} is {str(value).lower()}, which is no value for it.")
    try:
        return _adapter(hint).validate_python(value)
    except pydantic.ValidationError as e:
        first = e.errors()[0]
        inside = [part for part in first["loc"] if _is_there(value, part)]
        whole = [*path, *inside]
        quote = (
            " Put it in quotes."
            if first["type"] == "string_type" and isinstance(value, (bool, int, float, dict))
            else ""
        )
        raise text.error(whole, f"{dotted(whole)}: {first['msg']} (got {first['input']!r}).{quote}") from e


@cache
def _adapter(hint: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(hint)


def _item_class(hint: Any) -> type | None:
    """Return the settings class that a mapping or a list holds."""
    classes = [each for each in get_args(hint) if isinstance(each, type) and dataclasses.is_dataclass(each)]
    return classes[0] if classes else None


def _is_there(value: Any, part: str | int) -> bool:
    """Return whether a part of pydantic's place is a key or index; other parts name the type that was tried."""
    return part in value if isinstance(value, Mapping) else isinstance(value, list) and isinstance(part, int)


def _first_named(message: str, mapping: Mapping[str, Any]) -> str | None:
    """Return the setting of the file that a message of a class names first."""
    for word in re.findall(r"\w+", message):
        if word in mapping:
            return str(word)
    return None
