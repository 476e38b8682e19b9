"""One trial: its process, what is read of its run, and how it ends. ``esmm train`` is played."""

import json
import os
import signal
import time

import pytest

from launcher.tune.objective import Objective
from launcher.tune.study import Study
from launcher.tune.study_data import StudyData
from launcher.tune.study_folder import StudyFolder
from launcher.tune.trial_process import TrialPlan, TrialProcess
from tests.unit.launcher.tune import played_trainer
from tests.unit.launcher.tune.searches import make_data, tune_config


@pytest.fixture
def study(tmp_path):
    data = StudyData.read(make_data(tmp_path / "data"))
    study = Study(tmp_path / "study.db", tune_config(tmp_path), data)
    yield study
    study.close()


def started(study, tmp_path, trial=None, **changes):
    trial = trial or study.ask()
    folder = StudyFolder(path=tmp_path)
    folder.trial(trial.number).mkdir(parents=True, exist_ok=True)
    folder.settings(trial.number).write_text("embedding: {embedding_learning_rate: 0.1}")
    given = {"seeds": (1,), "objective": Objective.parse("ctcvr.auc"), "cores": None, **changes}
    plan = TrialPlan(number=trial.number, folder=folder, data=tmp_path, esmm=played_trainer.ESMM, **given)
    return TrialProcess(plan, trial, os.environ)


def until(process, condition):
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up
        process.poll()
        time.sleep(0.01)


def ended(process):
    until(process, lambda: not process.running)
    return process.end


def test_a_trial_has_the_value_of_its_training_and_the_evaluations_before(study, tmp_path):
    process = started(study, tmp_path)
    end = ended(process)
    assert (end.value, end.error, end.pruned) == (1.0, "", False)
    assert end.metrics["1"]["ctr"]["auc"] == 1.0
    assert study.trials[0].intermediate_values == {1: 0.25, 2: 0.5, 3: 0.75, 4: 1.0}
    assert process.share == 1.0
    assert process.plan.folder.log(0).read_text() == "Chosen: nothing\n"


def test_a_trial_of_several_seeds_has_their_mean_and_the_evaluations_of_the_first(study, tmp_path):
    end = ended(started(study, tmp_path, seeds=(1, 2, 3)))
    assert end.value == pytest.approx((1.0 + 1.001 + 1.002) / 3)
    assert sorted(end.metrics) == ["1", "2", "3"]
    assert study.trials[0].intermediate_values[4] == 1.0
    assert len(study.trials[0].intermediate_values) == 4


@pytest.mark.parametrize(("play", "trainings"), [("wait", 0), ("wait-later", 1)])
def test_the_share_of_the_steps_is_followed_over_all_seeds(study, tmp_path, monkeypatch, play, trainings):
    monkeypatch.setenv("PLAY", play)
    process = started(study, tmp_path, seeds=(1, 2))
    until(process, lambda: process.share > trainings / 2)
    assert process.share == pytest.approx((trainings + 1 / 4) / 2)  # a quarter of the steps of the one that waits
    process.kill()


def test_a_crash_ends_a_trial_with_the_last_error(study, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAY", "crash")
    process = started(study, tmp_path)
    assert ended(process).error == "The loss is not finite at step 3."
    assert "The loss is not finite at step 3." in process.plan.folder.log(0).read_text()


def test_an_objective_that_is_no_number_is_an_error(study, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAY", "nan")
    assert ended(started(study, tmp_path)).error == "ctcvr.auc is not a number on the evaluated split."


def prune_all(trial):
    trial.should_prune = lambda: True
    return trial


def test_a_pruned_training_is_asked_to_end(study, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAY", "wait")
    process = started(study, tmp_path, trial=prune_all(study.ask()))
    end = ended(process)
    assert (end.pruned, end.error) == (True, "")
    assert study.trials[0].intermediate_values == {1: 0.25}


def test_a_training_that_was_complete_before_it_could_be_pruned_counts(study, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAY_SECONDS", "0")
    trial = study.ask()
    trial.should_prune = lambda: len(trial.storage.get_trial(trial._trial_id).intermediate_values) == 3
    process = started(study, tmp_path, trial=trial)
    time.sleep(1.0)  # until it has ended
    assert ended(process).value == 1.0


def test_a_trial_that_is_stopped_has_no_end_and_goes_on_later(study, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAY", "wait")
    process = started(study, tmp_path, seeds=(1, 2))
    until(process, lambda: study.trials[0].intermediate_values)
    process.stop()
    assert ended(process) is None
    assert process.stopped
    monkeypatch.delenv("PLAY")
    (left,) = study.unfinished()
    assert ended(started(study, tmp_path, trial=left, seeds=(1, 2))).value == pytest.approx(1.0005)


def test_a_training_that_somebody_else_stops_has_failed(study, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAY", "wait")
    process = started(study, tmp_path)
    until(process, lambda: study.trials[0].intermediate_values)
    os.kill(process._process.pid, signal.SIGTERM)
    assert ended(process).error == "Somebody else has stopped it by SIGTERM."


def test_a_killed_training_has_failed(study, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAY", "wait")
    process = started(study, tmp_path)
    until(process, lambda: study.trials[0].intermediate_values)
    os.kill(process._process.pid, signal.SIGKILL)
    assert "was killed by SIGKILL" in ended(process).error


def test_a_training_keeps_to_its_cores(study, tmp_path):
    core = min(os.sched_getaffinity(0))
    process = started(study, tmp_path, cores=[core])
    ended(process)
    assert json.loads((process.plan.folder.run(0, 1) / "cores").read_text()) == [core]
    assert os.sched_getaffinity(0) != {core} or os.cpu_count() == 1
