"""Read the value of one flag: as pydantic reads a value from a file, with an error of one sentence."""

from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import tyro
import yaml

from esmm_dist.config import Named, to_mapping, typed_value
from esmm_dist.errors import ConfigError

_NONE = "None"


def reader(hint: Any, shown: str) -> Any:
    """Return what tells tyro to read a flag's words with ``read``; None for a switch, which has no words.

    A setting that is true, false or open (None) is no switch: it takes one of these words.

    Args:
        hint: type of the setting
        shown: flag as a user types it, named in errors
    """
    if hint is bool:
        return None
    return tyro.constructors.PrimitiveConstructorSpec[Any](
        nargs="*" if _element(hint) is not None else 1,
        metavar=metavar(hint),
        instance_from_str=lambda words: read(hint, words, shown),
        is_instance=lambda value: True,  # defaults come from the settings class
        str_from_instance=_words,
    )


def read(hint: Any, words: list[str], shown: str) -> Any:
    """Return the value of a flag's words.

    A list takes several words, or one with commas between its values; a mapping is written as YAML.

    Raises:
        ConfigError: they are not a value of the type, or a place or name is empty
    """
    inner, element = _inner(hint), _element(hint)
    if inner is bool:
        return _switch(words[0], shown, is_open=hint is not inner)
    if words == [_NONE] and hint is not inner:
        return None
    if element is not None:
        return typed_value(
            Named(""), inner, [part for word in words for part in word.split(",") if part.strip()], [shown]
        )
    if get_origin(inner) is dict:
        return _mapping(words[0], shown)
    if inner in (str, Path) and not words[0].strip():
        raise ConfigError(f"{shown} is empty. Give a value; if it came from a shell variable, that one is not set.")
    return typed_value(Named(""), inner, words[0], [shown])


def takes_many(hint: Any) -> bool:
    """Return whether a flag of a type takes several values."""
    return _element(hint) is not None


def metavar(hint: Any) -> str:
    """Return how help names a value of a type."""
    inner, element = _inner(hint), _element(hint)
    if element is not None:
        text = f"[{metavar(element)} [{metavar(element)} ...]]"
    elif get_origin(inner) is dict:
        text = "'{NAME: VALUE, ...}'"
    elif get_origin(inner) is Literal:
        text = "{" + ",".join(str(each) for each in get_args(inner)) + "}"
    elif inner is bool:
        text = "{true,false}"
    else:
        text = inner.__name__.upper()
    return text if inner is hint else f"{{{_NONE}}}|{text}"


def _inner(hint: Any) -> Any:
    """Return the type without None."""
    if get_origin(hint) not in (Union, UnionType):
        return hint
    types = [each for each in get_args(hint) if each is not type(None)]
    return types[0] if len(types) == 1 else Union[tuple(types)]  # noqa: UP007


def _element(hint: Any) -> Any:
    """Return the type of a list's elements; None if it is no list."""
    inner = _inner(hint)
    return get_args(inner)[0] if get_origin(inner) in (tuple, list) else None


def _switch(word: str, shown: str, *, is_open: bool) -> bool | None:
    values = {"true": True, "false": False} | ({_NONE.lower(): None} if is_open else {})
    if word.lower() not in values:
        raise ConfigError(f"{shown} is '{word}'. Give true{', false or None' if is_open else ' or false'}.")
    return values[word.lower()]


def _mapping(text: str, shown: str) -> dict[str, Any]:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise ConfigError(f"{shown}: {text!r} is not YAML ({' '.join(str(e).split())}).") from e
    if not isinstance(value, dict):
        raise ConfigError(f"{shown}: {text!r} is not a mapping such as '{{a: 1, b: 2}}'.")
    return value


def _words(value: Any) -> list[str]:
    if isinstance(value, (list, tuple)):
        return [str(each) for each in value]
    if isinstance(value, dict):
        return [yaml.safe_dump(to_mapping(value), default_flow_style=True).strip()]
    return [str(value).lower() if isinstance(value, bool) else str(value)]
