"""Find what is wrong with the names in a mapping before settings are built of it, also in the classes nested in them.

A setting that one of several classes may fill (``source: AliCcpSource | FlatSource``) tells which by its tag: the
setting that all of them have as a ``Literal`` (``form``).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True, kw_only=True)
class WrongName:
    """A name that is not known at its place."""

    key: str
    """The setting, dotted."""
    name: str
    """The wrong name: the last part of the key, or the tag's value. Empty: a tag is missing."""
    known: tuple[str, ...]
    """The names that are right at that place."""
    is_tag: bool = False
    """True: ``name`` is the value of the tag ``key``."""


def first_wrong_name(cls: type, mapping: Mapping[str, Any], prefix: str = "") -> WrongName | None:
    """Return the first key that is no setting of its class, or the first tag that names no class.

    Args:
        cls: A settings class.
        mapping: What is to fill it.
        prefix: Stands before the keys in the result.
    """
    hints = get_type_hints(cls)
    names = tuple(f.name for f in dataclasses.fields(cls))
    for key, value in mapping.items():
        if key not in names:
            return WrongName(key=f"{prefix}{key}", name=str(key), known=names)
        for classes, item, label in _nested_mappings(hints[key], value, key):
            found = _first_of_classes(classes, item, f"{prefix}{label}.")
            if found is not None:
                return found
    return None


def first_empty_path(cls: type, mapping: Mapping[str, Any], prefix: str = "") -> str | None:
    """Return the first setting (dotted) that takes a path and has an empty text; arguments as above, keys known."""
    hints = get_type_hints(cls)
    for key, value in mapping.items():
        if Path in (hints[key], *get_args(hints[key])) and isinstance(value, str) and not value.strip():
            return f"{prefix}{key}"
        for classes, item, label in _nested_mappings(hints[key], value, key):
            nested = _class_of(classes, item)
            found = first_empty_path(nested, item, f"{prefix}{label}.") if nested is not None else None
            if found is not None:
                return found
    return None


def _first_of_classes(classes: Sequence[type], mapping: Mapping[str, Any], prefix: str) -> WrongName | None:
    cls, by_tag = _class_of(classes, mapping), _by_tag(classes)
    if cls is not None:
        return first_wrong_name(cls, mapping, prefix)
    if by_tag is None:
        return None  # without a tag they are left to pydantic, which tells them apart
    tag, class_of = by_tag
    name = "" if mapping.get(tag) is None else str(mapping[tag])
    return WrongName(key=f"{prefix}{tag}", name=name, known=tuple(class_of), is_tag=True)


def _class_of(classes: Sequence[type], mapping: Mapping[str, Any]) -> type | None:
    """Return the class that the mapping fills: the only one, or the one that its tag names."""
    by_tag = _by_tag(classes)
    if len(classes) == 1:
        return classes[0]
    tag = mapping.get(by_tag[0]) if by_tag is not None else None
    return by_tag[1].get(tag) if by_tag is not None and isinstance(tag, str) else None


def _by_tag(classes: Sequence[type]) -> tuple[str, dict[str, type]] | None:
    """Return the tag of classes and the class of each of its values, or None if they have none in common."""
    hints = [get_type_hints(cls) for cls in classes]
    for name in hints[0]:
        if all(get_origin(of_class.get(name)) is Literal for of_class in hints):
            return name, {str(v): cls for cls, of in zip(classes, hints, strict=True) for v in get_args(of[name])}
    return None


def _nested_mappings(hint: Any, value: Any, key: str) -> list[tuple[list[Any], Mapping[str, Any], str]]:
    """List (dataclasses, mapping, label) for a mapping, or a list of mappings, that fills one of the dataclasses."""
    classes = [c for c in (hint, *_flat_args(hint)) if dataclasses.is_dataclass(c)]
    if not classes:
        return []
    if isinstance(value, Mapping) and get_origin(hint) is dict:
        return [(classes, v, f"{key}.{name}") for name, v in value.items() if isinstance(v, Mapping)]
    if isinstance(value, Mapping):
        return [(classes, value, key)]
    if isinstance(value, list):
        return [(classes, v, f"{key}[{i}]") for i, v in enumerate(value) if isinstance(v, Mapping)]
    return []


def _flat_args(hint: Any) -> list[Any]:
    return [a for arg in get_args(hint) for a in (arg, *_flat_args(arg))]
