"""Facts and findings of a run: where its checkpoint was scored, they are those of the scores."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from esmm_dist.report.page.blocks import Paragraph
from esmm_dist.report.run_page.findings import course_facts, course_findings, findings_of
from esmm_dist.report.run_page.page import ReportedRuns, run_page
from esmm_dist.report.run_page.text import report_lines
from tests.support.hand_made_scores import hand_made, planted
from tests.support.written_run import evaluation, events
from tests.unit.report.run_history.courses import LEARNS, written_course

LABELS, LOGITS, USERS = planted(noise=0.0)


def scored(shift=0.0, **more):
    """Return scores of logits that are off by so much, on a split of another name."""
    return replace(hand_made(LABELS, LOGITS + shift, USERS), split="validation", **more)


@pytest.fixture
def low(tmp_path):
    """Return the course of a run whose model predicts too little before it is calibrated."""
    found = evaluation(100, ctr=0.7, ctcvr=0.7)
    found["metrics"]["ctr"]["calibration"] = 0.90
    found["metrics"]["ctcvr"]["calibration"] = 1.03  # within 1.96 errors of 0.02
    found["metrics"]["ctcvr"]["calibration_standard_error"] = 0.02
    return written_course(tmp_path, evaluations=[found])


def test_findings_say_what_is_miscalibrated_as_trained_and_by_how_much(low):
    assert course_findings(low) == ["As trained, predictions on test are on average ctr too low by 10.0%."]


def test_of_a_scored_run_it_is_the_scores_that_say_whether_probabilities_are_right(low):
    calibrated = scored(calibrated_by={"method": "platt"})
    sentence = "Calibrated predictions on validation are right on average, for every task."
    assert course_findings(low, calibrated) == [sentence]
    assert course_findings(low, scored(calibrated_by=None)) == [sentence.replace("Calibrated p", "P")]


def test_scores_that_are_off_are_off_by_what_the_arrays_say(low):
    ratio = (1 / (1 + np.exp(-LOGITS[:, 0] - 1))).mean() / LABELS[:, 0].mean()
    (found,) = course_findings(low, scored(1.0, calibrated_by={"method": "platt"}))
    assert found.startswith(f"Calibrated predictions on validation are on average ctr too high by {ratio - 1:.1%}, ")


def test_the_facts_at_the_top_are_those_of_the_scored_checkpoint(low):
    facts = dict(course_facts(low, scored(step=80)))
    assert facts["scored checkpoint"] == "step 80"
    auc = roc_auc_score(LABELS[:, 0], LOGITS[:, 0])
    assert facts["ctr AUC on validation"].startswith(f"{auc:.4f} ± ")
    assert "ctr AUC on test" not in facts
    assert "scored checkpoint" not in dict(course_facts(low, scored(step=low.step)))


def test_page_lines_and_values_say_the_same(low):
    scores = scored(calibrated_by={"method": "platt"})
    report = ReportedRuns(courses=[low], scores=[scores], made_at=0.0)
    (sentence,) = course_findings(low, scores)
    page = run_page(report)
    assert page.sections[0].blocks == [Paragraph(text=sentence)]
    assert tuple(page.facts) == tuple(course_facts(low, scores))
    assert sentence in report_lines(report)
    assert report.to_mapping()["findings"] == [sentence]


def test_of_several_runs_each_has_its_own_scores_or_none(low, tmp_path):
    other = written_course(tmp_path, "other", evaluations=[evaluation(100, ctr=0.7)])
    found = findings_of([low, other], [scored(calibrated_by=None), None])
    assert found[0] == "run: Predictions on validation are right on average, for every task."
    assert found[1].startswith("other: As trained, predictions on test are ")


def test_the_best_evaluation_of_early_stopping_stands_for_a_run_without_scores(tmp_path):
    best = {"step": 300, "value": 0.63, "metric": "ctr.auc", "split": "test"}
    course = written_course(tmp_path, evaluations=LEARNS, best=best)
    assert ("ctr AUC on test", "0.6300 ± 0.0040") in course_facts(course)


def test_a_run_without_evaluations_has_no_findings(tmp_path):
    assert course_findings(written_course(tmp_path, train_log=[])) == []


def test_losses_of_workers_are_findings(tmp_path):
    history = events((30, "worker_lost", 300, {"worker": "worker-1"}), (50, "resume", 40, {}))
    found = course_findings(written_course(tmp_path, history=history))
    assert found == ["Workers, servers or drivers were lost once.", "The run was resumed once."]


@pytest.mark.parametrize(("number", "words"), [(1, "once"), (2, "twice"), (3, "3 times")])
def test_losses_and_resumes_are_counted_in_english(tmp_path, number, words):
    history = [each for _ in range(number) for each in events((5, "server_lost", 1, {}), (9, "resume", 1, {}))]
    found = course_findings(written_course(tmp_path, history=history))
    assert f"Workers, servers or drivers were lost {words}." in found
    assert f"The run was resumed {words}." in found
