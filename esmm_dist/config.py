"""Build typed, frozen settings from plain mappings (YAML files, job files, flags, manifests) and back.

Settings classes stand beside the code that they configure. Each is a frozen, keyword-only dataclass; each setting is
followed by a string that says its meaning, its unit, and why its default is what it is. The command line reads the
same classes (``launcher/settings/resolve.py``).

A setting that one of several classes may fill (``source: AliCcpSource | FlatSource``) tells which by its tag: the
setting that all of them have as a ``Literal`` (``form``).

A setting whose name is a Python keyword has an attribute with an underscore behind it, as PEP 8 has it: users write
``continue: true`` and ``--continue``, code reads ``config.continue_`` (``setting_name``, ``attribute_name``).
"""

import dataclasses
import datetime
import keyword
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Protocol, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import pydantic

from esmm_dist.errors import ConfigError, EsmmError
from esmm_dist.near_names import nearest_hint

T = TypeVar("T")

SettingPath = Sequence[str | int]
"""Where a setting is, from the outermost: ``("cluster", "tolerations", 0, "key")``."""

_MOST_SHOWN = 400


class SettingsSource(Protocol):
    """Where settings are from. It makes the errors about them."""

    def error(self, path: SettingPath, text: str) -> EsmmError:
        """Return the error about a setting."""

    def refused(self, path: SettingPath, error: Exception, given: Mapping[str, Any]) -> EsmmError:
        """Return the error for what a settings class has refused.

        Args:
            path: place of the class's settings
            error: what the class says
            given: its settings
        """


@dataclasses.dataclass(frozen=True)
class Named:
    """A source that has a name and no lines."""

    where: str
    """Begins each error: a file, or who sent it. Empty: nothing."""

    kind: type[EsmmError] = ConfigError
    """Class of its errors."""

    def error(self, path: SettingPath, text: str) -> EsmmError:
        """Return the error about a setting."""
        return self.kind(f"{self.where}: {text}" if self.where else text)

    def refused(self, path: SettingPath, error: Exception, given: Mapping[str, Any]) -> EsmmError:
        """Return the error as it is, if it is one about settings: they name themselves, and may be a flag's."""
        return error if self.kind is ConfigError and isinstance(error, ConfigError) else self.error(path, str(error))


def build(cls: type[T], mapping: Mapping[str, Any], *, where: str, error: type[EsmmError] = ConfigError) -> T:
    """Build a settings class (and those nested in it) from a mapping.

    Args:
        cls: a dataclass; missing keys take its defaults
        mapping: as read from YAML or JSON
        where: name of the source in errors
        error: class of the error to raise

    Raises:
        EsmmError: (of class ``error``) a key is unknown (the nearest known one is named), a value has the wrong type
            or is refused by the class's own checks
    """
    return build_from(Named(where, error), cls, mapping)


def build_from(source: SettingsSource, cls: type[T], mapping: Any, path: SettingPath = ()) -> T:
    """Build a settings class from the part of a source that stands at a path; errors as those of ``build``."""
    return cast(T, _settings(cls, mapping, source, path, whole=True))


def typed_settings(source: SettingsSource, cls: type, mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with typed values but not yet as their class, which is not asked: some may be missing.

    Groups stay mappings.

    Raises:
        EsmmError: (the source's) a key is unknown, or a value has the wrong type
    """
    return cast(dict[str, Any], _settings(cls, mapping, source, (), whole=False))


def typed_value(source: SettingsSource, hint: Any, value: Any, path: SettingPath) -> Any:
    """Return a value as the type that a setting has; no settings class is in it.

    Raises:
        EsmmError: (the source's) it is not of that type
    """
    key, types = dotted(path), _members(hint)
    if Path in types and isinstance(value, str) and not value.strip():  # Path("") would be the current folder
        raise source.error(path, f"{key} is empty. Give a path, or leave the setting out.")
    if isinstance(value, bool) and bool not in types and Any not in types:  # to pydantic it would be the number 0 or 1
        raise source.error(path, f"{key} is {str(value).lower()}, but it takes neither true nor false.")
    try:
        typed = _adapter(hint).validate_python(value)
    except EsmmError as e:  # of a check that the type brings
        raise source.refused(path[:-1], e, {str(path[-1]): value}) from e
    except pydantic.ValidationError as e:
        first = e.errors()[0]
        inside = [part for part in first["loc"] if _is_there(value, part)]
        wrong = first["input"]
        is_scalar = isinstance(wrong, (bool, int, float, datetime.date))
        # The text itself is not known here: 010 is the number 8, 12:30 is 750
        hint_ = " Write it in quotes to have it as text." if first["type"] == "string_type" and is_scalar else ""
        text = f"{dotted([*path, *inside])}: {shortened(first['msg'])} (got {shortened(repr(wrong))}).{hint_}"
        if first["type"] == "literal_error":
            known = [str(each) if re.search(r"\w", str(each)) else repr(each) for each in _literals(hint)]
            shown = f"'{shortened(wrong)}'" if isinstance(wrong, str) else shortened(repr(wrong))
            text = f"{dotted([*path, *inside])} is {shown}.{nearest_hint(str(wrong), known)}"
        raise source.error([*path, *inside], text) from e
    if Any not in types and _holds_settings(source):
        for number in typed if isinstance(typed, (tuple, list)) else (typed,):
            if isinstance(number, float) and not math.isfinite(number):
                raise source.error(path, f"{key} is {number}. Set a finite number, or leave the setting out.")
    return typed


def _holds_settings(source: SettingsSource) -> bool:
    """Return whether a person chose the values: those of a manifest may be NaN, such as an AUC without positives."""
    return getattr(source, "kind", ConfigError) is ConfigError


def setting_name(attribute: str) -> str:
    """Return the name of a setting as users write it, in files and as a flag, given its attribute's."""
    name = attribute.removesuffix("_")
    return name if keyword.iskeyword(name) else attribute


def attribute_name(setting: str) -> str:
    """Return the name of a setting's attribute, given the name that users write."""
    return f"{setting}_" if keyword.iskeyword(setting) else setting


def unknown_setting(path: SettingPath, known: Iterable[str]) -> str:
    """Return the message about a setting that does not exist."""
    return f"unknown setting '{shortened(dotted([*path[:-1], str(path[-1])]))}'.{nearest_hint(str(path[-1]), known)}"


def dotted(path: SettingPath) -> str:
    """Return a path as users write it: ``cluster.tolerations[0].key``."""
    text = ""
    for part in path:
        text += f"[{part}]" if type(part) is int else f".{part}" if text else str(part)
    return text


def shortened(text: str) -> str:
    """Return a text for a message; a long one without its middle."""
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN // 2]}...{text[-_MOST_SHOWN // 2 :]}"


def to_mapping(settings: Any) -> dict[str, Any]:
    """Return settings as plain dicts, lists and scalars that YAML and JSON can hold; ``build`` reads them back."""
    mapping = _plain(settings)
    assert isinstance(mapping, dict)
    return mapping


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {setting_name(f.name): _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    return value


def _settings(cls: type, mapping: Any, source: SettingsSource, path: SettingPath, *, whole: bool) -> Any:
    """Return an instance of a settings class, or (not ``whole``) a mapping of its typed values."""
    if not isinstance(mapping, Mapping):
        text = f"{dotted(path) or 'the content'} is {shortened(repr(mapping))}, not a mapping."
        raise source.error(path, f"{text} Write 'name: value' lines below it.")
    hints, required = _fields(cls)
    for key in mapping:
        if key not in hints:
            raise source.error([*path, key], unknown_setting([*path, key], hints))
    values = {key: _value(hints[key], value, source, [*path, key], whole=whole) for key, value in mapping.items()}
    if not whole:
        return values
    for name in required:
        if name not in values:
            raise source.error(path, f"{dotted([*path, name])} is missing, and has no default.")
    try:
        return cls(**{attribute_name(name): value for name, value in values.items()})
    except (EsmmError, ValueError) as e:
        refused = source.refused(path, e, mapping)
        if refused is e:
            raise
        raise refused from e


def _value(hint: Any, value: Any, source: SettingsSource, path: SettingPath, *, whole: bool) -> Any:
    """Return a value as the type that a setting has, with settings classes in it; a group only if it is ``whole``."""
    classes, item, is_optional = _nested(hint)
    if isinstance(value, classes) or (value is None and is_optional):
        return value
    if classes:
        cls = classes[0] if len(classes) == 1 else _class_of_tag(classes, value, source, path)
        # A heading with nothing below it is None to YAML
        return _settings(cls, {} if value is None else value, source, path, whole=whole or hint is not cls)
    if item is not None and isinstance(value, Mapping):
        names = [typed_value(source, str, name, [*path, str(name)]) for name in value]
        return {name: _value(item, value[name], source, [*path, name], whole=True) for name in names}
    if item is not None and isinstance(value, (list, tuple)):
        return tuple(_value(item, each, source, [*path, i], whole=True) for i, each in enumerate(value))
    return typed_value(source, hint, value, path)


def _class_of_tag(classes: Sequence[type], mapping: Any, source: SettingsSource, path: SettingPath) -> type:
    """Return the class that a mapping's tag names."""
    tag, class_of = _tags(classes)
    if not isinstance(mapping, Mapping):
        return classes[0]  # which is refused
    value = mapping.get(tag)
    if isinstance(value, str) and value in class_of:
        return class_of[value]
    given = "missing" if value is None else f"'{shortened(str(value))}'"
    at = [*path, tag]
    raise source.error(at, f"{dotted(at)} is {given}.{nearest_hint(str(value), class_of)}")


@cache
def _fields(cls: type) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the type of each setting of a class, and the names of those without a default."""
    hints = get_type_hints(cls, include_extras=True)  # a type may bring a check of its own
    fields = dataclasses.fields(cls)
    missing = dataclasses.MISSING
    required = tuple(setting_name(f.name) for f in fields if f.default is missing and f.default_factory is missing)
    return {setting_name(f.name): hints[f.name] for f in fields}, required


@cache
def _nested(hint: Any) -> tuple[tuple[type, ...], Any, bool]:
    """Return the classes that may fill a setting, the one in its list or mapping, and whether it may be None."""
    members = _members(hint)
    classes = tuple(each for each in members if isinstance(each, type) and dataclasses.is_dataclass(each))
    items = [arg for each in members for arg in get_args(each) if dataclasses.is_dataclass(arg)]
    return classes, items[0] if items else None, NoneType in members


@cache
def _tags(classes: Sequence[type]) -> tuple[str, dict[str, type]]:
    """Return the tag of classes, and the class of each of its values."""
    hints = [_fields(cls)[0] for cls in classes]
    tag = next(name for name in hints[0] if all(get_origin(each.get(name)) is Literal for each in hints))
    return tag, {str(v): cls for cls, each in zip(classes, hints, strict=True) for v in get_args(each[tag])}


@cache
def _members(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


@cache
def _adapter(hint: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(hint)


def _literals(hint: Any) -> tuple[Any, ...]:
    """Return the values that a type names, wherever it does."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(value for each in get_args(hint) for value in _literals(each))


def _is_there(value: Any, part: str | int) -> bool:
    """Return whether a part of pydantic's place is a key or index; other parts name the type that was tried."""
    return part in value if isinstance(value, Mapping) else isinstance(value, list) and isinstance(part, int)
