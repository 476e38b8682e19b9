"""Write settings as YAML with their meaning as comments, so that the text read back gives the same settings."""

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

import yaml

from esmm_dist.config import setting_name, to_mapping
from esmm_dist.yaml_text import YamlWriter
from launcher.settings.setting_docs import class_doc, setting_docs

_WIDTH = 110


def settings_yaml(cls: type, values: Mapping[str, Any]) -> str:
    """Return YAML text.

    Args:
        cls: settings class, which gives the order and the comments
        values: nested mapping of its settings, typed or plain; one that is missing has no default and is written as a
            comment
    """
    return "\n".join(_lines(cls, values, indent=0)) + "\n"


def _lines(cls: type, values: Mapping[str, Any], indent: int) -> Iterator[str]:
    docs = setting_docs(cls)
    hints = get_type_hints(cls)
    for f in dataclasses.fields(cls):
        hint, setting = hints[f.name], setting_name(f.name)
        nested = isinstance(hint, type) and dataclasses.is_dataclass(hint)
        yield from _comment(docs.get(f.name) or (class_doc(hint) if nested else ""), indent)
        if setting not in values:
            yield " " * indent + f"# {setting}:    (required; no default)"
        elif nested:
            yield " " * indent + f"{setting}:"
            yield from _lines(hint, values[setting], indent + 2)
        else:
            yield " " * indent + _setting(setting, values[setting])


def _comment(text: str, indent: int) -> list[str]:
    prefix = " " * indent + "# "
    return textwrap.wrap(text, _WIDTH, initial_indent=prefix, subsequent_indent=prefix, break_long_words=False)


def _setting(name: str, value: Any) -> str:
    """Return ``name: value`` on one line, lists and mappings in brackets."""
    text = yaml.dump(
        to_mapping({name: value}), Dumper=YamlWriter, default_flow_style=True, allow_unicode=True, width=10_000
    ).strip()
    return text[1:-1]
