"""The READMEs show commands that exist, with flags that they take."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest

from esmm_dist.config import setting_name
from launcher.commands import COMMANDS
from launcher.settings.twin import CommonFlags
from tests.unit.launcher.setup.docs.markdown import Text, all_texts

TEXTS = [text for text in all_texts() if text.path.name != "CHANGELOG.md"]  # it tells of flags that are gone, too


def shown_commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the commands of ``esmm`` in code, blocks and words alike: the name, and the flags before a comment."""
    for line in re.findall(r"(?:^|[`(&|] ?|\$ |-np \d )esmm ([a-z]+\b[^`\n#|]*)", text, re.MULTILINE):
        own, _, rest = f"{line} ".partition(" -- ")
        name, *words = own.split()
        name = name.rstrip(",).:;")
        yield name, [word.split("=")[0] for word in words if word.startswith("--")]
        if name == "local" and rest.strip(". "):
            task, *words = rest.split()
            known = task if task in COMMANDS else "train"
            yield known, [word.split("=")[0] for word in words if word.startswith("--")]


def flags_of(cls: type) -> set[str]:
    hints = get_type_hints(cls)
    found: set[str] = set()
    for f in dataclasses.fields(cls):
        hint: Any = hints[f.name]
        nested = isinstance(hint, type) and dataclasses.is_dataclass(hint)
        flag = setting_name(f.name).replace("_", "-")
        found |= flags_of(hint) if nested else {f"--{flag}", f"--no-{flag}"}
    return found


def unknown_words(text: str) -> list[str]:
    unknown = []
    for name, flags in shown_commands(text):
        if name not in COMMANDS:
            unknown.append(f"esmm {name}")
            continue
        known = flags_of(COMMANDS[name].load_settings()) | flags_of(CommonFlags) | {"--help"}
        unknown += [f"esmm {name} {flag}" for flag in flags if flag not in known]
    return unknown


@pytest.mark.parametrize("text", TEXTS, ids=[str(text.path) for text in TEXTS])
def test_commands_and_flags_that_a_readme_shows_exist(text: Text):
    assert unknown_words(text.text) == []


def test_the_readme_shows_most_commands():
    readme = next(text for text in TEXTS if str(text.path) == "README.md")
    shown = {name for name, _ in shown_commands(readme.text)}
    assert {"preprocess", "train", "evaluate", "predict", "export", "local", "submit", "status"} <= shown


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("esmm trian --data data\n", ["esmm trian"]),
        ("`esmm train --dada data`", ["esmm train --dada"]),
        ("esmm evaluate --run run   # --nothing: a comment\n", []),
        ("$ esmm local --workers 2 -- --data data --workers 3\n", ["esmm train --workers"]),  # the training has none
        ("$ esmm local --workers 2 -- predict --keep item_id --epochs 3\n", ["esmm predict --epochs"]),
        ("esmm train --no-baseline --print-config > train.yaml\n", []),
    ],
)
def test_an_unknown_command_or_flag_is_found(text: str, unknown: list[str]):
    assert unknown_words(text) == unknown
