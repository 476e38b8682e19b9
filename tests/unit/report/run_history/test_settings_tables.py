"""Settings of runs as tables: what is not the default, and what differs."""

import pytest

from esmm_dist.report.run_history.sections import settings_section
from esmm_dist.report.run_history.settings_tables import (
    default_settings,
    differing_table,
    flat,
    setting_text,
    settings_table,
)
from tests.support.written_run import data_set
from tests.unit.report.run_history.courses import written_course


def test_settings_that_are_not_the_default_are_shown_with_it_and_who_chose_them(tmp_path):
    course = written_course(
        tmp_path,
        settings={"seed": 9, "input": {"epochs": 2}, "model": {"hidden_units": [64, 32]}},
        data_sets=[data_set(1, chosen=["input.epochs"])],
    )
    table = settings_table(course)
    assert table is not None
    assert [list(row) for row in table.rows] == [
        ["seed", "9", "1", "given"],
        ["input.epochs", "2", "None", "by the training"],
        ["model.hidden_units", "[64, 32]", "None", "given"],
    ]
    assert table.title == "3 settings are not the default."


def test_where_the_data_and_the_run_are_is_no_setting_that_differs_from_the_default(tmp_path):
    table = settings_table(written_course(tmp_path, settings={}))
    assert table is not None
    assert (table.title, list(table.rows)) == ("All settings are the default.", [])


def test_one_setting_is_one_setting(tmp_path):
    table = settings_table(written_course(tmp_path, settings={"seed": 2}))
    assert table is not None
    assert table.title == "1 setting is not the default."


def test_the_default_of_each_setting_is_that_of_its_class():
    found = default_settings()
    assert found["seed"] == 1
    assert found["embedding.embedding_dim"] == 16
    assert found["input.epochs"] is None


def test_settings_of_several_runs_are_shown_where_they_differ(tmp_path):
    a = written_course(tmp_path, "a", settings={"seed": 1, "embedding": {"embedding_dim": 8}})
    b = written_course(tmp_path, "b", settings={"seed": 2, "embedding": {"embedding_dim": 8}})
    c = written_course(tmp_path, "c", settings={"seed": 2, "embedding": {"embedding_dim": 8}})
    table = differing_table([a, b, c])
    assert table is not None
    assert list(table.head) == ["setting", "a", "b", "c"]
    assert [list(row) for row in table.rows] == [["seed", "1", "2", "2"]]
    assert table.title == "1 setting differs between the runs."


def test_runs_with_the_same_settings_say_so(tmp_path):
    table = differing_table([written_course(tmp_path, name, settings={}) for name in ("a", "b")])
    assert table is not None
    assert table.title == "The runs have the same settings."


def test_a_setting_that_an_older_run_did_not_have_is_a_dash(tmp_path):
    courses = [written_course(tmp_path, name, settings={}) for name in ("a", "b")]
    path = tmp_path / "a" / "config.yaml"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("seed:")))
    older = written_course_again(tmp_path, "a")
    table = differing_table([older, courses[1]])
    assert table is not None
    assert [list(row) for row in table.rows] == [["seed", "–", "1"]]


def written_course_again(folder, label):
    from esmm_dist.report.run_history.read import read_course
    from esmm_dist.storage.folder import Folder

    return read_course(Folder.open(folder / label), label)


def test_without_settings_there_is_no_table(tmp_path):
    one, two = written_course(tmp_path, "a"), written_course(tmp_path, "b", settings={})
    assert settings_table(one) is None
    assert differing_table([one, two]) is None
    assert settings_section([one]) is None


def test_lines_on_what_the_training_chose_stand_below_the_table(tmp_path):
    written_course(tmp_path, settings={})
    path = tmp_path / "run" / "config.yaml"
    path.write_text(f"# Chosen: epochs 2\n{path.read_text()}")
    section = settings_section([written_course_again(tmp_path, "run")])
    assert section is not None
    assert getattr(section.blocks[1], "text", "") == "Chosen: epochs 2"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "true"),
        ([1, 2], "[1, 2]"),
        (("a",), "[a]"),
        (0.05, "0.05"),
        ("a\nb", "a\\nb"),
    ],
)
def test_values_are_texts_of_one_line(value, text):
    assert setting_text(value) == text


def test_a_long_value_is_cut():
    assert len(setting_text("x" * 500)) == 80


def test_groups_are_dotted_and_mappings_within_them_are_values():
    found = flat({"a": 1, "b": {"c": 2, "d": {"e": 3}}})
    assert found == {"a": 1, "b.c": 2, "b.d": {"e": 3}}
