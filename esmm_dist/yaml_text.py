"""Read YAML that holds one mapping, with errors that name file and line; write YAML that reads back the same."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from esmm_dist.config import SettingPath, dotted, shortened
from esmm_dist.errors import ConfigError, EsmmError

_MOST_VALUES = 100_000
_OTHER_BREAKS = {"\x85", "\u2028", "\u2029"}


class YamlText:
    """A YAML text that holds one mapping, and the lines of its parts: a ``SettingsSource``.

    Args:
        text: the YAML
        where: name of the file in errors

    Raises:
        ConfigError: it is not YAML, holds something else than a mapping, a key twice (YAML would keep the last), or
            what is no text
    """

    def __init__(self, text: str, *, where: str) -> None:
        self.where = where
        self.data, self._root = _parse(text, where, ConfigError, yaml.SafeLoader)
        self._check(self._root, [])

    def line(self, path: SettingPath) -> int:
        """Return the line (from 1) of a key, or of the nearest thing around it that is in the text."""
        node: yaml.Node = self._root
        line = node.start_mark.line + 1
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            node, line = found
        return line

    def error(self, path: SettingPath, text: str) -> ConfigError:
        """Return an error that names the file and the line of a setting."""
        return ConfigError(f"{self.where}:{self.line(path)}: {text}")

    def refused(self, path: SettingPath, error: Exception, given: Mapping[str, Any]) -> ConfigError:
        """Return the error of a settings class with the line of the setting that it names first."""
        named = [word for word in re.findall(r"\w+", str(error)) if word in given][:1]
        return self.error([*path, *named], f"{dotted(path)}: {error}" if path else str(error))

    def _check(self, node: yaml.Node, path: list[str | int]) -> None:
        """Check that no mapping has a key twice, and that all texts are such as processes can be given."""
        if isinstance(node, yaml.ScalarNode):
            self._check_text(node, dotted(path))
        if isinstance(node, yaml.SequenceNode):
            for i, item in enumerate(node.value):
                self._check(item, [*path, i])
        if not isinstance(node, yaml.MappingNode):
            return
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = str(key.value)
            if name in seen:
                raise ConfigError(
                    f"{self.where}:{line}: {dotted([*path, name])} is set in line {seen[name]} already. "
                    "Keep one of them."
                )
            seen[name] = line
            self._check(key, path)
            self._check(value, [*path, name])

    def _check_text(self, node: yaml.ScalarNode, at: str) -> None:
        wrong = ""
        if node.tag == "tag:yaml.org,2002:binary":
            wrong = "bytes (!!binary)"
        elif "\0" in node.value:
            wrong = "the character NUL, which ends a text for Linux"
        elif any("\ud800" <= c <= "\udfff" for c in node.value):
            wrong = "half a character (U+D800 .. U+DFFF), which UTF-8 cannot hold"
        if wrong:
            name = at or "the file"
            raise ConfigError(f"{self.where}:{node.start_mark.line + 1}: {name} has {wrong}. Write it as plain text.")


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == str(part):
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item, item.start_mark.line + 1
    return None


def read_text(path: Path, *, error: type[EsmmError] = ConfigError) -> str:
    """Return the text of a file.

    Raises:
        EsmmError: (of class ``error``) the file is missing, or not UTF-8
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as e:
        raise error(f"Cannot read {path}: {e.strerror}. Check the path.") from e
    except UnicodeDecodeError as e:
        raise error(f"{path} is not UTF-8 text (byte {e.start}). Save it as UTF-8.") from e


def read_yaml(path: Path, *, error: type[EsmmError] = ConfigError, words: bool = False) -> dict[str, Any]:
    """Read a YAML file that holds one mapping; arguments and errors as those of ``read_text`` and ``parse_yaml``."""
    return parse_yaml(read_text(path, error=error), where=str(path), error=error, words=words)


def parse_yaml(
    text: str | bytes, *, where: str, error: type[EsmmError] = ConfigError, words: bool = False
) -> dict[str, Any]:
    """Parse YAML that holds one mapping.

    Args:
        text: the YAML
        where: name of the file in errors
        error: class of the error to raise
        words: True: ``yes``, ``no``, ``on`` and ``off`` are texts, as in YAML 1.2: names and values of a log may be
            called so. False: they are true and false.

    Raises:
        EsmmError: (of class ``error``) it is not YAML, or holds something else than a mapping
    """
    return _parse(text, where, error, _WordsLoader if words else yaml.SafeLoader)[0]


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


class _WordsLoader(yaml.SafeLoader):
    """Reads ``true`` and ``false`` alone as such, as YAML 1.2 does."""


_BOOL_TAG = "tag:yaml.org,2002:bool"
_WordsLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL_TAG]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_WordsLoader.add_implicit_resolver(_BOOL_TAG, re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF"))


def _parse(
    text: str | bytes, where: str, error: type[EsmmError], reader: type[yaml.SafeLoader]
) -> tuple[dict[str, Any], yaml.MappingNode]:
    """Return the mapping that a text holds, and the nodes that know its lines."""
    try:
        loader = reader(text)
        node = loader.get_single_node()
        data = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        line = f":{mark.line + 1}" if mark else ""
        what = e.problem or e.context or ""
        if what.startswith("but ") and e.context:  # half a sentence
            what = f"{e.context}, {what}"
        raise error(f"{where}{line}: this is not YAML: {shortened(what)}.") from e
    except yaml.reader.ReaderError as e:
        before = text[: e.position]
        number = (before.count("\n") if isinstance(before, str) else before.count(b"\n")) + 1
        raise error(f"{where}:{number}: YAML holds no character U+{e.character:04X}. Remove it.") from e
    # PyYAML lets through what int() and date() say to '9...9' and '2001-13-45', and Python's limit on deep nesting
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        raise error(f"{where} is not valid YAML: {shortened(' '.join(str(e).split()))}") from e
    if node is not None and not _is_small(data):
        raise error(
            f"{where}:{_line_of_too_many(node)}: the file holds more than {_MOST_VALUES:,} values up to here, counting "
            "what aliases repeat. Write it out."
        )
    if not isinstance(data, dict):
        raise error(f"{where} holds {type(data).__name__}, not a mapping of settings. Write 'name: value' lines.")
    assert isinstance(node, yaml.MappingNode)
    return data, node


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


def _line_of_too_many(root: yaml.Node) -> int:
    """Return the line (from 1) of a YAML text that holds the first value of too many."""
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
