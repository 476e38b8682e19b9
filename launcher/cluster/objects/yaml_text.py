"""Write manifests as YAML that people read and ``kubectl apply -f -`` takes.

YAML has versions: kubectl reads ``y`` and ``1e3`` without quotes as a boolean and a number, where PyYAML writes texts
so. A text is therefore left without quotes only where no version can take it for anything else.
"""

import re
from collections.abc import Sequence
from typing import Any

import yaml

from esmm_dist.yaml_text import has_other_breaks

# A word that begins with a letter is no number and no date
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]+")
_OTHER_MEANING = {"yes", "no", "on", "off", "true", "false", "null"}


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, and writes nothing as a reference to what stands elsewhere."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _OTHER_MEANING
    style = None if plain else "|" if "\n" in text and not has_other_breaks(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def manifests_yaml(manifests: Sequence[dict[str, Any]]) -> str:
    """Return manifests as documents of one YAML stream."""
    return yaml.dump_all(
        manifests, Dumper=_Dumper, explicit_start=True, sort_keys=False, allow_unicode=True, width=float("inf")
    )
