"""Build typed, frozen settings from plain mappings (YAML files, manifests) and back.

Settings classes stand beside the code that they configure. Each is a frozen, keyword-only dataclass; each setting is
followed by a string that says its meaning, its unit, and why its default is what it is. The command line reads the
same classes (``launcher/settings/resolve.py``).
"""

import dataclasses
import datetime
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import pydantic
import yaml

from esmm_dist.errors import ConfigError, EsmmError
from esmm_dist.setting_names import first_empty_path, first_wrong_name

T = TypeVar("T")

_MOST_VALUES = 100_000
_MOST_SHOWN = 400
_MOST_NEAR = 4
_SYNONYMS = {
    **{"lr": ("learning", "rate"), "bs": ("batch", "records"), "size": ("records",), "dimension": ("dim",)},
    **{"layers": ("hidden", "units"), "optimiser": ("optimizer",), "output": ("out",), "input": ("data",)},
    **{"dataset": ("data",), "model": ("run",), "ps": ("servers",), "num": (), "dir": (), "path": (), "file": ()},
}
"""Words of other systems for those of the settings here; words that say nothing are left out."""
_OTHER_BREAKS = {"\x85", "\u2028", "\u2029"}
_NO_WORDS = {"", "s", "of", "the", "every", "max", "min", "no"}


def build(cls: type[T], mapping: Mapping[str, Any], *, where: str, error: type[EsmmError] = ConfigError) -> T:
    """Build a settings dataclass (and those nested in it) from a mapping.

    Args:
        cls: A dataclass. Missing keys take its defaults.
        mapping: As read from YAML or JSON.
        where: Named in errors: the file, or "flags".
        error: Class of the error to raise.

    Raises:
        EsmmError: (of class ``error``) A key is unknown (the nearest known one is named), a value has the wrong type
            or is refused by the class's own checks.
    """
    refuse_unknown(cls, mapping, where=where, error=error)
    try:
        return pydantic.TypeAdapter(cls).validate_python(dict(mapping))
    except EsmmError as e:  # of a class nested in it, which knows neither the file nor what is read from it
        if error is ConfigError and isinstance(e, error):  # settings name themselves, and may be a flag's
            raise
        raise error(f"{where}: {e}") from e
    except pydantic.ValidationError as e:
        raise error(f"{where}: {_first_error(e, mapping, cls.__name__)}") from e


def refuse_unknown(cls: type, mapping: Mapping[str, Any], *, where: str, error: type[EsmmError] = ConfigError) -> None:
    """Check that every key is a setting of the class, or of the classes nested in it, and that no path is empty.

    Raises:
        EsmmError: (of class ``error``) A key is no setting (the nearest known one is named), or a path is empty.
    """
    wrong = first_wrong_name(cls, mapping)
    if wrong is not None:
        key, hint = _shown(wrong.key), nearest_hint(wrong.name, wrong.known)
        if not wrong.is_tag:
            raise error(f"{where}: unknown setting '{key}'.{hint}")
        given = f"'{_shown(wrong.name)}'" if wrong.name else "missing"
        raise error(f"{where}: {key} is {given}.{hint}")
    empty = first_empty_path(cls, mapping)
    if empty is not None:  # Path("") would be the current folder
        raise error(f"{where}: {empty} is empty. Give a path, or leave the setting out.")


class YamlWriter(yaml.SafeDumper):
    """Writes what YAML readers read back as the same, with ``allow_unicode`` too."""


def _text_of_one_meaning(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Line breaks to YAML 1.1, which reads one as another unless it is escaped, and only double quotes escape
    style = '"' if has_other_breaks(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


YamlWriter.add_representer(str, _text_of_one_meaning)


def has_other_breaks(text: str) -> bool:
    """Return whether a text holds line breaks of YAML 1.1 that are no line breaks of a file: NEL, LS, PS."""
    return not _OTHER_BREAKS.isdisjoint(text)


def to_mapping(settings: Any) -> dict[str, Any]:
    """Return settings as plain dicts, lists and scalars that YAML and JSON can hold; ``build`` reads them back."""
    mapping = _plain(settings)
    assert isinstance(mapping, dict)
    return mapping


def read_yaml(path: Path, *, error: type[EsmmError] = ConfigError, words: bool = False) -> dict[str, Any]:
    """Read a YAML file that holds one mapping.

    Args:
        path: The file.
        error: Class of the error to raise.
        words: As of ``parse_yaml``.

    Raises:
        EsmmError: (of class ``error``) The file is missing, is not YAML, or holds something else than a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise error(f"Cannot read {path}: {e.strerror}. Check the path.") from e
    except UnicodeDecodeError as e:
        raise error(f"{path} is not UTF-8 text (byte {e.start}). Save it as UTF-8.") from e
    return parse_yaml(text, where=str(path), error=error, words=words)


def parse_yaml(
    text: str | bytes, *, where: str, error: type[EsmmError] = ConfigError, words: bool = False
) -> dict[str, Any]:
    """Parse YAML that holds one mapping.

    Args:
        text: The YAML.
        where: Named in errors: the file.
        error: Class of the error to raise.
        words: True: ``yes``, ``no``, ``on`` and ``off`` are texts, as in YAML 1.2: names and values of a log may be
            called so. False: they are true and false.

    Raises:
        EsmmError: (of class ``error``) It is not YAML, or holds something else than a mapping.
    """
    try:
        data = yaml.load(text, Loader=_WordsLoader if words else yaml.SafeLoader)
    # PyYAML lets through what int() and date() say to '9...9' and '2001-13-45', and Python's limit on deep nesting
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        raise error(f"{where} is not valid YAML: {_shown(' '.join(str(e).split()))}") from e
    if not _is_small(data):
        raise error(
            f"{where}:{_line_of_too_many(text)}: the file holds more than {_MOST_VALUES:,} values up to here, counting "
            "what aliases repeat. Write it out."
        )
    if not isinstance(data, dict):
        raise error(f"{where} holds {type(data).__name__}, not a mapping of settings. Write 'name: value' lines.")
    return data


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'? ..." for an unknown name, or the list of known names if none is near."""
    names = sorted(known)
    near = " or ".join(f"'{each}'" for each in near_names(name, names))
    hint = f" Did you mean {near}?" if near else ""
    return f"{hint} Known: {', '.join(names)}."


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that a wrong one may have meant: the nearest by its letters, else up to four by its words.

    Other systems say ``learning-rate``, ``batch-size`` or ``lr`` for what here has a longer name.

    Args:
        name: as typed, with words joined by ``-`` or ``_``
        known: names that would be right
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near and not (_words(name) < _words(near[0])):
        return near
    shared = {each: len(_words(name) & _words(each)) for each in names}
    most = max(shared.values(), default=0)
    return [each for each in names if shared[each] == most][:_MOST_NEAR] if most else near


def _words(name: str) -> set[str]:
    """Return the words of a setting's name, each as settings here say it."""
    return {each for word in re.split("[-_. ]+", name.lower()) for each in _SYNONYMS.get(word, (word,))} - _NO_WORDS


class _WordsLoader(yaml.SafeLoader):
    """Reads ``true`` and ``false`` alone as such, as YAML 1.2 does."""


_BOOL_TAG = "tag:yaml.org,2002:bool"
_WordsLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL_TAG]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_WordsLoader.add_implicit_resolver(_BOOL_TAG, re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF"))


def _first_error(errors: pydantic.ValidationError, mapping: Mapping[str, Any], whole: str) -> str:
    """Return the first error in a sentence that names the setting as the user wrote it; ``whole`` is all of them."""
    first = errors.errors()[0]
    key = _shown(_path_of(first["loc"], mapping)) or whole
    if first["type"] == "missing":
        return f"{key} is missing."
    value = first["input"]
    is_scalar = isinstance(value, (bool, int, float, datetime.date))
    hint = f' Write it in quotes: "{value}".' if first["type"] == "string_type" and is_scalar else ""
    return f"{key}: {_shown(first['msg'])} (got {_shown(repr(value))}).{hint}"


def _path_of(loc: Sequence[str | int], mapping: Mapping[str, Any]) -> str:
    """Return where an error is, ``fields[0].owner``; names of classes that pydantic puts between are left out."""
    path, at = "", cast(Any, mapping)
    for i, part in enumerate(loc):
        if isinstance(part, int) and isinstance(at, (list, tuple)):
            path, at = f"{path}[{part}]", at[part]
            continue
        inside = isinstance(at, Mapping) and part in at
        if inside or (i == len(loc) - 1 and isinstance(at, Mapping) and part != "[key]"):
            path, at = f"{path}.{part}" if path else str(part), at[part] if inside else None
    return path


def _is_small(data: Any) -> bool:
    """Return whether data can be walked: aliases of YAML may repeat each other a billion times, or without end."""
    waiting, seen = [data], 0
    while waiting and seen <= _MOST_VALUES:
        value = waiting.pop()
        seen += 1
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, (list, tuple, set)):
            waiting.extend(value)
    return not waiting


def _line_of_too_many(text: str | bytes) -> int:
    """Return the line (from 1) of a YAML text that holds the first value of too many."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert root is not None
    waiting, seen, line = [(0, root)], 0, 0
    while waiting and seen <= _MOST_VALUES:
        at, node = waiting.pop()
        seen += 1
        # What an alias repeats stands further up; the alias itself has no mark, but the key before it has
        line = max(line, at, node.start_mark.line)
        if isinstance(node, yaml.MappingNode):
            waiting.extend((key.start_mark.line, value) for key, value in reversed(node.value))
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend((line, item) for item in reversed(node.value))
    return line + 1


def _shown(text: str) -> str:
    """Return a text for a message; a long one without its middle."""
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN // 2]}...{text[-_MOST_SHOWN // 2 :]}"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    return value
