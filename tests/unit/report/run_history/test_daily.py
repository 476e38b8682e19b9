"""Runs that learn from one day after the other: what they reached on each before they learned from it."""

import pytest

from esmm_dist.report.run_history.daily import progressive_picture
from esmm_dist.report.run_history.learning_curves import auc_picture
from esmm_dist.report.run_history.sections import checkpoint_table, course_sections
from esmm_dist.storage.folder import Folder
from tests.support.written_run import data_set, evaluation
from tests.unit.checkpoint.saved_rows import SavedRows, save
from tests.unit.report.run_history.courses import NAN, written_course


def first(auc, error=0.004):
    return {"ctr": {"auc": auc, "auc_standard_error": error}}


def test_progressive_auc_is_that_of_the_records(tmp_path):
    days = [data_set(1), data_set(2, first=first(0.70)), data_set(3, first=first(0.72, 0.002))]
    picture = progressive_picture(written_course(tmp_path, data_sets=days))
    assert picture is not None
    assert picture.numbers["data_set"] == ["days/2026-09-02", "days/2026-09-03"]
    assert picture.numbers["ctr"]["auc"] == [0.70, 0.72]
    assert picture.numbers["ctr"]["half_width"] == pytest.approx([1.96 * 0.004, 1.96 * 0.002])
    assert picture.title == ("On 2 data sets that it had not seen yet, the run had an AUC for ctr of 0.7000 to 0.7200.")
    labels = [each.get_text() for each in picture.figure.axes[0].get_xticklabels()]
    assert labels == ["2026-09-02", "2026-09-03"]


def test_of_many_days_a_few_are_named(tmp_path):
    days = [data_set(number, first=first(0.7)) for number in range(1, 31)]
    picture = progressive_picture(written_course(tmp_path, data_sets=days))
    assert picture is not None
    assert len(picture.numbers["ctr"]["auc"]) == 30
    assert len(picture.figure.axes[0].get_xticklabels()) <= 12


@pytest.mark.parametrize(
    ("aucs", "title"),
    [
        ([NAN], "There is no AUC for ctr before training: the labels are of one class."),
        ([0.7], "Before it learned from the data set, the run had an AUC for ctr of 0.7000."),
    ],
)
def test_titles_of_little_data(tmp_path, aucs, title):
    days = [data_set(number, first=first(auc)) for number, auc in enumerate(aucs, 1)]
    picture = progressive_picture(written_course(tmp_path, data_sets=days))
    assert picture is not None
    assert picture.title == title
    assert picture.svgs()


def test_a_run_that_was_never_evaluated_first_has_no_picture_but_a_table(tmp_path):
    course = written_course(tmp_path, data_sets=[data_set(1), data_set(2, finished=False, last_step=100)])
    assert progressive_picture(course) is None
    section = next(each for each in course_sections([course]) if each.heading == "Data sets")
    (table,) = section.blocks
    assert list(getattr(table, "rows", ())) == [
        ["1", "days/2026-09-01", "6,400", "1 to 100", "yes"],
        ["2", "days/2026-09-02", "6,400", "–", "no"],
    ]


def test_one_data_set_needs_no_section(tmp_path):
    course = written_course(tmp_path, data_sets=[data_set(1)])
    assert [each.heading for each in course_sections([course])] == ["Learning"]


def test_learning_curves_mark_where_the_next_data_set_began(tmp_path):
    found = [evaluation(step, ctr=0.7) for step in (50, 100, 150, 200)]
    course = written_course(tmp_path, evaluations=found, data_sets=[data_set(1), data_set(2)])
    picture = auc_picture([course])
    assert picture is not None
    assert "dotted lines are where the next data set began" in picture.how_to_read
    dotted = [line for line in picture.figure.axes[0].get_lines() if line.get_linestyle() == ":"]
    assert [list(line.get_xdata()) for line in dotted] == [[100, 100]]  # type: ignore[arg-type]


def test_checkpoints_are_a_table_with_what_keeps_them(tmp_path):
    written_course(tmp_path)
    run = Folder.open(tmp_path / "run")
    save(run, 1000, SavedRows(30))
    (tmp_path / "run" / "checkpoints" / "step-00001000.pin").touch()
    table = checkpoint_table(written_course(tmp_path))
    assert table is not None
    (row,) = table.rows
    assert (row[0], row[2], row[3], row[4]) == ("1,000", "30", "pinned", "ok by size")
    assert table.title == "run keeps 1 checkpoint."
