"""The table of commands: every row leads to what it names, and its example can be typed."""

import dataclasses
import inspect
import re
import shlex
from itertools import groupby
from typing import get_type_hints

import pytest

from launcher import cli
from launcher.command import _loaded
from launcher.commands.registry import _ROWS, COMMANDS, FIRST_STEPS
from launcher.settings.setting_docs import nested_docs, setting_docs

SEARCH = "{data: data, study: tune, search: {model.dropout: {low: 0, high: 0.6}}}"
DAYS = "{raw: raw, work: work, publish: models, first_day: 2022-04-25, preprocess: {schema: aliccp}}"
FILES = {"tune": SEARCH, "compare": SEARCH, "pipeline": DAYS}
"""Files of the commands whose first word may be a file of settings."""


def test_names_are_unique_and_rows_of_a_group_stand_together():
    assert len(_ROWS) == len(COMMANDS) >= 20
    groups = [group for group, _ in groupby(row.group for row in _ROWS)]
    assert len(groups) == len(set(groups))


def test_a_new_user_sees_five_commands_first():
    assert len(FIRST_STEPS) == 5
    assert set(FIRST_STEPS) <= set(COMMANDS)


def unexplained(cls):
    """Return the settings of a class, and of the groups within it, that no string follows."""
    docs, hints = setting_docs(cls), get_type_hints(cls)
    groups = [hint for hint in hints.values() if dataclasses.is_dataclass(hint)]
    single = [name for name, hint in hints.items() if not dataclasses.is_dataclass(hint)]
    return [name for name in single if name not in docs] + [name for group in groups for name in unexplained(group)]


@pytest.mark.parametrize("name", COMMANDS)
def test_settings_are_a_frozen_class_whose_every_setting_is_explained(name):
    cls = COMMANDS[name].load_settings()
    assert vars(cls)["__dataclass_params__"].frozen
    assert unexplained(cls) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_work_takes_settings_and_context(name):
    parameters = inspect.signature(_loaded(COMMANDS[name].work)).parameters
    assert list(parameters) == ["settings", "context"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_row_speaks_of_settings_that_its_class_has(name):
    command = COMMANDS[name]
    cls = command.load_settings()
    own = {f.name for f in dataclasses.fields(cls)}
    assert set(command.positional) | set(command.short) | set(command.stored) <= own
    assert command.rest is None or command.rest in own
    assert set(command.main) <= set(nested_docs(cls))
    assert command.earlier_settings is None or callable(_loaded(command.earlier_settings))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_is_a_line_that_can_be_typed(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(COMMANDS[name].example)
    assert words[:2] == ["esmm", name]
    if COMMANDS[name].file_first:
        (tmp_path / words[2]).write_text(FILES[name])
    assert cli.resolve_line(words[1:]).cls is COMMANDS[name].load_settings()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_is_one_line_that_begins_with_a_verb(name):
    assert re.match(r"[A-Z][a-z]+ .*[.N]\Z", COMMANDS[name].summary)  # N: esmm train --run RUN
    assert len(COMMANDS[name].summary) <= 105  # on one line of a wide terminal, behind the name
