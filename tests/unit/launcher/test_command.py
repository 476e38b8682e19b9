"""A row of the table of commands: what it names is imported when it is needed."""

import sys
from dataclasses import dataclass
from typing import Any

import pytest

from esmm_dist.progress import NoProgress
from launcher.command import Command, CommandContext, Outcome, own_rank

CONTEXT = CommandContext(
    progress=NoProgress(), run_line=lambda line: Outcome(lines=[], result={}), settings_of_line=lambda line: None
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a command of this test."""

    limit: int = 3


def work(settings: Settings, context: CommandContext) -> Outcome:
    return Outcome(lines=[f"limit {settings.limit}"], result={"same": context is CONTEXT})


def earlier(flags):
    return {"limit": 7} if "run" in flags else None


def row(**changes: Any) -> Command:
    names = {"settings": f"{__name__}:Settings", "work": f"{__name__}:work"}
    return Command(**{"name": "x", "group": "G", "summary": "S.", "example": "esmm x", **names, **changes})


@pytest.mark.parametrize("changes", [{}, {"settings": Settings, "work": work}], ids=["by name", "itself"])
def test_a_row_names_its_settings_and_its_work_or_holds_them(changes):
    command = row(**changes)
    assert command.load_settings() is Settings
    outcome = command.run(Settings(limit=5), CONTEXT)
    assert (outcome.lines, outcome.result, outcome.done) == (["limit 5"], {"same": True}, True)


def test_nothing_is_imported_before_it_is_needed(monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    command = row(settings="this:d", work="this:s")  # a module of the standard library that prints when it is imported
    assert command.name == "x"
    assert "this" not in sys.modules


def test_a_name_that_leads_nowhere_fails_when_it_is_needed():
    with pytest.raises(AttributeError, match="nothing"):
        row(work=f"{__name__}:nothing").run(Settings(), CONTEXT)
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        row(settings="no_such_module:Settings").load_settings()


@pytest.mark.parametrize(
    ("finds", "flags", "expected"),
    [
        (None, {"run": "r"}, {}),
        (earlier, {}, {}),
        (earlier, {"run": "r"}, {"limit": 7}),
        (f"{__name__}:earlier", {"run": "r"}, {"limit": 7}),
    ],
)
def test_settings_of_an_earlier_run_are_found_by_the_flags(finds, flags, expected):
    assert row(earlier_settings=finds).find_earlier_settings(flags) == expected


@pytest.mark.parametrize(
    ("in_ranks", "rank", "expected"),
    [(True, "1", (1, 2)), (False, "1", (0, 1)), (True, "x", (0, 1))],  # x: the command itself says what is wrong
)
def test_only_a_command_of_several_processes_has_a_rank(in_ranks, rank, expected, monkeypatch):
    monkeypatch.setenv("HOROVOD_RANK", rank)
    monkeypatch.setenv("HOROVOD_SIZE", "2")
    assert own_rank(row(in_ranks=in_ranks)) == expected
    assert own_rank(None) == (0, 1)
