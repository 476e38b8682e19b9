"""What a page holds where something cannot be shown, and the command that makes it again."""

from pathlib import Path

import pytest

from esmm_dist.errors import CheckpointError, InputDataError
from esmm_dist.progress import NoProgress
from esmm_dist.report.page.html_page import html_of
from esmm_dist.report.run_page import gather
from esmm_dist.report.run_page.config import ReportConfig
from esmm_dist.report.run_page.gather import command_of, gather_report
from esmm_dist.report.run_page.page import run_page
from esmm_dist.report.run_page.text import report_lines, watch_line
from tests.support.written_run import evaluation, losses, write_run


@pytest.fixture
def run(tmp_path):
    found = [evaluation(100, ctr=0.7)]
    return str(write_run(tmp_path / "run", evaluations=found, train_log=losses(100)))


def test_a_run_without_a_checkpoint_is_shown_without_scores_and_says_why(run):
    report = gather_report(ReportConfig(runs=(run,)), NoProgress())
    assert report.scores == [None]
    (note,) = report.notes
    assert note.startswith("The split is not scored: ")
    assert "has no checkpoint yet" in note
    assert f"Note: {note}" in report_lines(report)
    assert "has no checkpoint yet" in html_of(run_page(report))


def test_data_out_of_reach_leave_the_scores_out_unless_they_were_asked_for(run, monkeypatch):
    def out_of_reach(*args):
        raise InputDataError("the data set is not within reach.")

    monkeypatch.setattr(gather, "scored_run", out_of_reach)
    report = gather_report(ReportConfig(runs=(run,)), NoProgress())
    assert report.notes == ["The split is not scored: the data set is not within reach."]
    for asked in ({"split": "test"}, {"data": Path("data")}):
        with pytest.raises(InputDataError, match="not within reach"):
            gather_report(ReportConfig(runs=(run,), **asked), NoProgress())


def test_a_step_that_is_named_must_be_there(run):
    with pytest.raises(CheckpointError, match="has no checkpoint of step 300"):
        gather_report(ReportConfig(runs=(f"{run}:300",)), NoProgress())


def test_without_scores_nothing_is_scored(run, monkeypatch):
    monkeypatch.setattr(gather, "scored_run", None)
    report = gather_report(ReportConfig(runs=(run,), score=False), NoProgress())
    assert report.notes == ["The split is not scored (--no-score)."]
    assert "no model was loaded" in html_of(run_page(report))


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"runs": ("run",)}, "esmm report run"),
        ({"runs": ("a b", "c"), "html": Path("x.html")}, "esmm report 'a b' c --html x.html"),
        ({"runs": ("run",), "split": "test", "by": ("x", "y")}, "esmm report run --split test --by x,y"),
        ({"runs": ("run",), "score": False}, "esmm report run --no-score"),
    ],
)
def test_the_page_says_the_command_that_makes_it_again(settings, line):
    assert command_of(ReportConfig(**settings)) == line


def test_a_line_of_a_watch_says_steps_and_auc(run):
    report = gather_report(ReportConfig(runs=(run,), score=False), NoProgress())
    assert watch_line(report) == "run at step 100, AUC ctr 0.7000"


def test_hostile_names_are_shown_escaped(tmp_path):
    name = "<script>alert(1)</script>"
    found = [{**evaluation(100, ctr=0.7), "metrics": {name: evaluation(100, ctr=0.7)["metrics"]["ctr"]}}]
    write_run(tmp_path / "run", evaluations=found, train_log=[{"step": 1, name: 0.5}, {"step": 2, name: 0.4}])
    report = gather_report(ReportConfig(runs=(str(tmp_path / "run"),), score=False), NoProgress())
    assert "<script" not in html_of(run_page(report))
