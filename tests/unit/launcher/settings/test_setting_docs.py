"""What stands behind a setting in its class is its documentation, everywhere."""

from dataclasses import dataclass, field, make_dataclass

import pytest

from launcher.command import Command
from launcher.settings.setting_docs import class_doc, command_doc, nested_docs, setting_docs
from tests.unit.launcher.settings.sample_settings import SampleConfig, TableConfig


@dataclass
class Base:
    """What is shared.

    More of it.
    """

    first: int = 1
    """The first ``one``,
    on two lines."""

    second: int = 2
    """The base's second."""

    bare: int = 3

    after: str = field(default="x")
    """After one that has no string."""


@dataclass
class Derived(Base):
    second: int = 4
    """The derived second."""


def test_a_string_belongs_to_the_setting_before_it_as_one_line():
    assert setting_docs(Base) == {
        "first": "The first one, on two lines.",
        "second": "The base's second.",
        "after": "After one that has no string.",
    }


def test_a_derived_class_keeps_what_it_does_not_say_anew():
    assert setting_docs(Derived) == {**setting_docs(Base), "second": "The derived second."}


def test_settings_of_groups_are_documented_with_those_around_them():
    assert nested_docs(SampleConfig)["embedding_dim"] == setting_docs(TableConfig)["embedding_dim"]
    assert nested_docs(SampleConfig)["data"] == "Folder to read."


def test_a_class_made_at_run_time_has_no_source_and_so_no_documentation():
    made = make_dataclass("Made", [("x", int)])
    assert setting_docs(made) == {}
    assert class_doc(made) == ""


@pytest.mark.parametrize(("cls", "doc"), [(Base, "What is shared."), (Derived, "")])
def test_a_class_is_described_by_its_own_first_paragraph(cls, doc):
    assert class_doc(cls) == doc


def row(main):
    return Command(
        name="sample", group="G", summary="Do it.", example="esmm sample d", settings=SampleConfig, work="no:work",
        main=main,
    )  # fmt: skip


def test_help_begins_with_what_the_command_does_an_example_and_its_most_used_settings():
    assert command_doc(row(()), SampleConfig) == "Do it.\n\nExample: esmm sample d"
    assert command_doc(row(("limit", "embedding_dim")), SampleConfig).splitlines()[3:] == [
        "",
        "Most used:",
        "  --limit          Stop there.",  # the first sentence of it
        "  --embedding-dim  Floats in a row.",
    ]


def test_a_long_sentence_is_broken_below_itself():
    long = command_doc(Command(**{**vars(row(("first",))), "settings": Base}), Base)
    assert all(len(line) <= 80 for line in long.splitlines())


def test_help_says_what_stands_behind_the_dashes():
    behind = Command(**{**vars(row(())), "settings": Base, "rest": "first", "rest_settings": Base})
    assert command_doc(behind, Base).splitlines()[-1] == f"Behind --: {nested_docs(Base)['first']}"
