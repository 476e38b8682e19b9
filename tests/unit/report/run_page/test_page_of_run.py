"""The page of a run that was trained: its numbers are those of the files, and a browser shows it."""

import json
from dataclasses import replace

import pytest

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.progress import NoProgress
from esmm_dist.report.page.html_page import html_of
from esmm_dist.report.run_page import scored_run
from esmm_dist.report.run_page.config import ReportConfig
from esmm_dist.report.run_page.gather import gather_report
from esmm_dist.report.run_page.page import run_page
from esmm_dist.report.run_page.text import report_lines
from esmm_dist.storage.copy import copy_tree
from esmm_dist.storage.folder import Folder
from tests.support.browser import assert_good_page, started_browser

pytestmark = pytest.mark.timeout(600)
"""A trained run, its scores and a browser: 25 s of a core, which is minutes where many share it."""


@pytest.fixture(scope="module")
def report(shop):
    return gather_report(ReportConfig(runs=(str(shop / "run"),), html=shop / "page.html"), NoProgress())


def refused(*args, **keywords):
    raise AssertionError("the split is scored again")


def test_the_course_is_that_of_the_files(shop, report):
    (course,) = report.courses
    metrics = json.loads((shop / "run" / "metrics.json").read_text())
    assert [each.step for each in course.evaluations] == [each["step"] for each in metrics["evaluations"]]
    newest = metrics["newest"]
    for task, figures in newest["metrics"].items():
        assert course.evaluations[-1].value(task, "auc") == figures["auc"]
    lines = (shop / "run" / "speed.jsonl").read_text().splitlines()
    assert [each.step for each in course.speed] == [json.loads(line)["step"] for line in lines]
    assert course.events[0].event == "start"
    assert course.events[-1].event == "done"
    assert course.checkpoints[-1].step == course.step == newest["step"]
    assert course.missing == ()


def test_the_split_is_scored_as_training_has_evaluated_it(report):
    (scores,), (course,) = report.scores, report.courses
    assert scores is not None
    evaluation = course.evaluations[-1]
    if scores.split == evaluation.split:
        for task, each in scores.tasks.items():
            assert each.metrics["auc"] == pytest.approx(evaluation.value(task, "auc"), nan_ok=True)
    assert sum(each.read_rows for each in report.norms) == sum(course.checkpoints[-1].rows.values())


def test_scores_are_kept_in_the_run_and_not_computed_again(shop, report, monkeypatch):
    monkeypatch.setattr(scored_run, "score_run", refused)
    again = gather_report(ReportConfig(runs=(str(shop / "run"),)), NoProgress())
    (first,), (second,) = report.scores, again.scores
    assert second is not None
    assert repr(second.to_mapping()) == repr(first.to_mapping())
    with pytest.raises(AssertionError, match="scored again"):
        gather_report(ReportConfig(runs=(str(shop / "run"),), by_values=3), NoProgress())


def test_the_page_is_good_in_a_browser(shop, report):
    path = shop / "page.html"
    page = run_page(report)
    path.write_text(html_of(page), encoding="utf-8")
    names = [each.name for each in page.pictures()]
    assert {"learning-curves", "auc-intervals", "training-losses", "throughput", "row-norms"} <= set(names)
    with started_browser() as browser:
        assert_good_page(browser, path, names)


def test_the_page_counts_one_as_one(report):
    (course,) = report.courses
    one = replace(course, evaluations=course.evaluations[:1], checkpoints=course.checkpoints[:1], events=())
    page = html_of(run_page(replace(report, courses=[one])))
    assert " 1 evaluation, " in page
    assert " 0 events, 1 checkpoint." in page


def test_a_checkpoint_that_goes_away_while_it_is_read_makes_room_for_the_next(shop, report, tmp_path, monkeypatch):
    run = Folder.open(tmp_path / "run")
    copy_tree(Folder.open(shop / "run"), run, NoProgress())
    step = report.courses[0].step
    choices = []

    def scored(choice, checkpoint, *rest):
        choices.append(checkpoint.manifest.step)
        if len(choices) == 1:
            (run / "checkpoints" / f"step-{step:08d}").delete()
            raise FileNotFoundError
        return "scores"

    monkeypatch.setattr(scored_run, "_scored", scored)
    monkeypatch.setattr(scored_run, "checkpoint_steps", lambda folder: [step, step - 1])
    monkeypatch.setattr(scored_run, "best_evaluation", lambda folder: None)
    first = open_checkpoint(run, step)
    monkeypatch.setattr(scored_run, "open_checkpoint", lambda folder, at: first if at == step else _at(first, at))
    found = scored_run.scored_run(
        CheckpointChoice(run=str(tmp_path / "run")), ReportConfig(runs=("run",)), NoProgress(), {}
    )
    assert repr(found) == "'scores'"
    assert choices == [step, step - 1]


def _at(checkpoint, step):
    return replace(checkpoint, manifest=replace(checkpoint.manifest, step=step))


def test_a_run_in_a_store_is_shown_like_one_on_a_disk(shop, report, s3, monkeypatch):
    place = s3.uri("bucket/run")
    copy_tree(Folder.open(shop / "run"), Folder.open(place), NoProgress())
    monkeypatch.setattr(scored_run, "score_run", refused)  # the kept scores were copied too
    config = ReportConfig(runs=(place,), data=shop / "data")
    found = gather_report(config, NoProgress())
    assert report_lines(found)[0] == report_lines(report)[0]
    assert found.courses[0].losses == report.courses[0].losses
    assert found.norms == report.norms
    assert [each.name for each in run_page(found).pictures()] == [each.name for each in run_page(report).pictures()]
