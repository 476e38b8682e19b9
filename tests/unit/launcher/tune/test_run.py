"""A whole study, with ``esmm train`` played: its trials, what is left of them, and how it ends."""

import json
import math
import os
import signal
import threading
import time

import pytest
import yaml

from esmm_dist.errors import ConfigError
from esmm_dist.process.signals import StoppedBySignal
from esmm_dist.progress import NoProgress
from launcher.trainings.cores import cores_of_jobs
from launcher.tune.run import TrialsFailedError, run_study
from tests.unit.launcher.tune import played_trainer
from tests.unit.launcher.tune.searches import LEARNING_RATE, make_data, tune_config


class Lines(NoProgress):
    def __init__(self):
        self.lines = []
        self.amounts = []
        self.total = None

    def start(self, task, total, unit, done=0.0):
        self.total = (task, total, unit, done)

    def advance(self, amount, note=""):
        self.amounts.append(amount)
        self.note = note

    def message(self, text):
        self.lines.append(text)


def tuned(tmp_path, progress=None, **changes):
    if not (tmp_path / "data").exists():
        make_data(tmp_path / "data")
    return run_study(tune_config(tmp_path, **changes), progress or Lines(), esmm=played_trainer.ESMM)


def starts(tmp_path):
    """How often each trial's training was started, of those whose runs are there."""
    return {
        path.parents[1].name: len(path.read_text().splitlines())
        for path in sorted((tmp_path / "study").glob("trials/*/seed-1/starts"))
    }


def test_a_study_keeps_the_best_trial_and_says_how_to_train_it(tmp_path):
    progress = Lines()
    outcome = tuned(tmp_path, progress, trials=4)
    trials = {each["trial"]: each["value"] for each in outcome.result["all"]}
    best = outcome.result["best"]
    assert best["value"] == max(trials.values())
    assert len(trials) == 4
    study = tmp_path / "study"
    assert list(starts(tmp_path)) == [f"{best['trial']:04}"]  # the runs of the others are gone
    assert len(list(study.glob("trials/*/train.log"))) == 4
    written = yaml.safe_load((study / "best.yaml").read_text())
    assert written["embedding"]["embedding_learning_rate"] == best["settings"][LEARNING_RATE]
    assert written["evaluation"]["eval_split"] == "validation"
    assert (study / "report.html").stat().st_size < 5_000_000
    assert f"  esmm train --config {study}/best.yaml --data {tmp_path}/data --run {study}/best" in outcome.lines
    assert outcome.result["train"] == outcome.lines[-2].strip()
    assert outcome.lines[-1].strip() == f"esmm evaluate --run {study}/best --data {tmp_path}/data --split test"
    assert progress.total == ("Tuning", 4, "trials", 0)
    assert sum(progress.amounts) == pytest.approx(4)
    assert progress.note == f"best ctcvr.auc {best['value']:.4f}"


def test_without_an_objective_it_is_the_auc_of_the_last_task(tmp_path):
    outcome = tuned(tmp_path, objective="", trials=1)
    assert outcome.result["objective"] == "ctcvr.auc"
    assert "ctcvr.auc" in "".join(outcome.lines)


def test_all_runs_stay_if_they_are_to(tmp_path):
    tuned(tmp_path, keep_runs=True)
    assert list(starts(tmp_path)) == ["0000", "0001", "0002"]


def test_one_job_tries_the_same_again(tmp_path):
    (tmp_path / "again").mkdir()
    one, two = tuned(tmp_path, trials=5), tuned(tmp_path / "again", trials=5)
    assert [(each["settings"], each["value"]) for each in one.result["all"]] == [
        (each["settings"], each["value"]) for each in two.result["all"]
    ]


def test_a_larger_number_of_trials_continues_a_study(tmp_path):
    first = tuned(tmp_path, trials=2).result["all"]
    second = tuned(tmp_path, trials=4, jobs=2).result["all"]
    assert second[:2] == first
    assert len(second) == 4
    assert tuned(tmp_path, trials=4).result["all"] == second  # nothing is left to do


def test_two_jobs_run_two_trials_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAY", "wait")
    with stopped_when(lambda: len(starts(tmp_path)) == 2), pytest.raises(StoppedBySignal):
        tuned(tmp_path, trials=5, jobs=2)
    assert list(starts(tmp_path)) == ["0000", "0001"]


class stopped_when:
    """Sends this process a signal once a condition holds."""

    def __init__(self, condition, number=signal.SIGINT):
        self._condition, self._number = condition, number

    def __enter__(self):
        self._thread = threading.Thread(target=self._wait)
        self._thread.start()

    def __exit__(self, *error):
        self._thread.join()

    def _wait(self):
        give_up = time.monotonic() + 60
        while not self._condition() and time.monotonic() < give_up:
            time.sleep(0.02)
        time.sleep(0.1)  # the process may be about to install its handler for SIGTERM
        os.kill(os.getpid(), self._number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_study_goes_on_with_the_trials_that_ran(tmp_path, monkeypatch, number):
    monkeypatch.setenv("PLAY", "wait")
    with stopped_when(lambda: starts(tmp_path), number), pytest.raises(StoppedBySignal) as stopped:
        tuned(tmp_path)
    assert stopped.value.number == number
    monkeypatch.delenv("PLAY")
    progress = Lines()
    outcome = tuned(tmp_path, progress, keep_runs=True)
    assert progress.lines[0] == "Going on with trial 0."
    assert [each["trial"] for each in outcome.result["all"]] == [0, 1, 2]
    assert starts(tmp_path) == {"0000": 2, "0001": 1, "0002": 1}


def test_three_failures_one_after_the_other_end_the_study_with_the_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAY", "crash")
    progress = Lines()
    with pytest.raises(
        TrialsFailedError, match="3 trials have failed one after the other.* loss is not finite at step 3"
    ):
        tuned(tmp_path, progress, trials=9)
    assert [line.split(":")[0] for line in progress.lines] == [f"Trial {i} has failed" for i in range(3)]


def test_failures_with_a_complete_trial_between_them_end_no_study(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAY", "crash-often")
    outcome = tuned(tmp_path, trials=6)
    assert outcome.result["trials"] == {"complete": 2, "pruned": 0, "failed": 4}


def test_what_a_kill_has_left_is_put_in_order(tmp_path):
    first = tuned(tmp_path, trials=2, keep_runs=True)
    (tmp_path / "study" / "best.yaml").unlink()  # killed before it was written, and before the other run was removed
    assert tuned(tmp_path, trials=2).result["all"] == first.result["all"]
    assert list(starts(tmp_path)) == [f"{first.result['best']['trial']:04}"]
    assert (tmp_path / "study" / "best.yaml").is_file()


def test_a_study_without_a_complete_trial_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAY", "nan")
    with pytest.raises(TrialsFailedError, match="No trial is complete, so there is no best one"):
        tuned(tmp_path, trials=2)


def test_failed_trials_are_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAY", "nan")
    with pytest.raises(TrialsFailedError):
        tuned(tmp_path, trials=2)
    monkeypatch.delenv("PLAY")
    outcome = tuned(tmp_path, trials=3)
    assert outcome.result["trials"] == {"complete": 1, "pruned": 0, "failed": 2}
    assert outcome.lines[0].startswith("3 trials: 1 complete, 0 pruned, 2 failed.")


def test_bad_trials_are_pruned(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAY", "followed")
    # By halving, a trial that is not in the best third at its first evaluation ends there
    outcome = tuned(tmp_path, trials=8, pruner="halving")
    trials = outcome.result["all"]
    pruned = [each for each in trials if each["state"] == "pruned"]
    assert pruned
    from_best = [abs(1 + math.log10(each["settings"][LEARNING_RATE])) for each in trials]  # 0.1 is best
    assert from_best.index(min(from_best)) not in [each["trial"] for each in pruned]
    assert outcome.result["trials"]["pruned"] == len(pruned)


def test_a_batch_that_the_data_set_cannot_give_is_refused_before_the_first_trial(tmp_path):
    # 6 and 10 records are no multiple of the 4 lanes; a range of more than a hundred values is tried at its ends
    search = {"input.global_batch_records": {"low": 4, "high": 400}, LEARNING_RATE: {"low": 0.01, "high": 1.0}}
    with pytest.raises(ConfigError, match="search.input.global_batch_records: 5 is refused"):
        tuned(tmp_path, search=search)


def test_a_task_that_the_data_set_lacks_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(ConfigError, match="no task 'ctvr'"):
        tuned(tmp_path, objective="ctvr.auc")
    assert not (tmp_path / "study").exists()


def test_each_job_has_its_own_cores(tmp_path):
    tuned(tmp_path, trials=2, jobs=2, keep_runs=True)
    cores = [json.loads((tmp_path / f"study/trials/000{i}/seed-1/cores").read_text()) for i in (0, 1)]
    assert cores == cores_of_jobs(sorted(os.sched_getaffinity(0)), 2)
