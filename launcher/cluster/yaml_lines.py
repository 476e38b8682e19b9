"""Where each setting stands in a YAML text, for errors that name the line."""

from collections.abc import Sequence

import yaml

from esmm_dist.config import parse_yaml
from esmm_dist.errors import ConfigError

Path = Sequence[str | int]


class YamlText:
    """A YAML text that holds one mapping, and the lines of its parts."""

    def __init__(self, text: str, *, where: str) -> None:
        """Read it.

        Args:
            text: The YAML.
            where: The file's name in errors.

        Raises:
            ConfigError: It is not YAML, holds something else than a mapping, a key twice (YAML would keep the last), or
                what is no text.
        """
        self.where = where
        root: yaml.Node | None = None
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as e:
            mark = e.problem_mark or e.context_mark
            line = f":{mark.line + 1}" if mark else ""
            raise ConfigError(f"{where}{line}: this is not YAML: {e.problem or e.context}.") from e
        except yaml.reader.ReaderError as e:
            line = f":{text.count(chr(10), 0, e.position) + 1}"
            raise ConfigError(f"{where}{line}: YAML holds no character U+{e.character:04X}. Remove it.") from e
        except (yaml.YAMLError, RecursionError):
            pass  # parse_yaml says it
        self.data = parse_yaml(text, where=where)
        assert isinstance(root, yaml.MappingNode)
        self._root = root
        self._check(root, [])

    def line(self, path: Path) -> int:
        """Return the line (from 1) of a key, or of the nearest thing around it that is in the text."""
        node: yaml.Node = self._root
        line = node.start_mark.line + 1
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            node, line = found
        return line

    def error(self, path: Path, text: str) -> ConfigError:
        """Return an error that names the file, the line and the setting (dotted)."""
        return ConfigError(f"{self.where}:{self.line(path)}: {text}")

    def _check(self, node: yaml.Node, path: list[str | int]) -> None:
        """Check that no mapping has a key twice, and that all texts are such as pods can be given."""
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


def dotted(path: Path) -> str:
    """Return a path as users write it: ``cluster.tolerations[0].key``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == str(part):
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item, item.start_mark.line + 1
    return None
