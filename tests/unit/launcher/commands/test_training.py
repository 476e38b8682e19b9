"""``esmm train`` and ``esmm local``: the settings of a run that is resumed, and the reports."""

from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.inference.baseline import Baseline
from esmm_dist.inference.tables.metrics_table import metrics_table
from esmm_dist.model.metrics.summary import TaskMetrics
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.result import TrainResult
from launcher.command import Outcome
from launcher.commands.training import local_command, settings_of_run, train_command
from launcher.local.config import LocalConfig
from tests.unit.launcher.commands.played_context import CONTEXT, make_context


def test_a_run_that_exists_brings_its_settings(tmp_path):
    (tmp_path / "config.yaml").write_text("data: d\nembedding: {dim: 4}\n")
    assert settings_of_run({"run": str(tmp_path)}) == {"data": "d", "embedding": {"dim": 4}}


def test_servers_of_an_earlier_start_are_not_taken_for_those_of_this_one(tmp_path):
    (tmp_path / "config.yaml").write_text("store: {servers: '127.0.0.1:7', token_file: gone, wire: bfloat16}\n")
    assert settings_of_run({"run": str(tmp_path)}) == {"store": {"wire": "bfloat16"}}


def test_a_new_run_has_no_stored_settings(tmp_path):
    assert settings_of_run({"run": str(tmp_path / "new")}) is None
    assert settings_of_run({}) is None


def test_a_damaged_settings_file_of_a_run_is_named(tmp_path):
    (tmp_path / "config.yaml").write_text("[")
    with pytest.raises(ConfigError, match="config.yaml:1: this is not YAML"):
        settings_of_run({"run": str(tmp_path)})


def result(**changes):
    values = {
        "run": "run", "step": 1200, "total_steps": 1200, "impressions": 5000, "seconds": 2.0, "rows": 10,
        "stopped_by": None, "metrics": {},
    }  # fmt: skip
    return TrainResult(**{**values, **changes})


METRICS = {
    "ctr": TaskMetrics(auc=0.5, auc_standard_error=0.001, log_loss=0.5, calibration=1.0, positives=3, impressions=9)
}
BASELINE = Baseline(
    auc={"ctr": 0.7}, auc_standard_error={"ctr": 0.001}, train_impressions=5, test_impressions=9,
    of_train_impressions=5, of_test_impressions=9,
)  # fmt: skip


@pytest.fixture
def trained(monkeypatch):
    """Let a training end with a result; return what sets it."""

    def end_with(found):
        monkeypatch.setattr("esmm_dist.train.run.train", lambda settings, progress, reporter: found)

    return end_with


SETTINGS = TrainConfig(data=Path("data"), run="run")


def test_a_training_without_an_evaluation_reports_how_it_ended(trained):
    trained(result(stopped_by="SIGINT", step=7))
    outcome = train_command(SETTINGS, CONTEXT)
    assert list(outcome.lines) == result(stopped_by="SIGINT", step=7).lines()
    assert (outcome.result["stopped_by"], outcome.result["step"], outcome.done) == ("SIGINT", 7, True)


def test_metrics_follow_and_a_model_that_is_below_the_baseline_is_warned_of(trained):
    found = result(metrics=METRICS, baseline=BASELINE)
    trained(found)
    lines = list(train_command(SETTINGS, CONTEXT).lines)
    ending = result().lines()
    assert lines[: len(ending)] == ending
    assert lines[len(ending) : -1] == metrics_table(METRICS, BASELINE)
    assert lines[-1].startswith("Warning: ctr: the model's AUC 0.5000 is below the 0.7000 of logistic regression")


def test_esmm_local_checks_the_workers_line_by_the_command_line_that_it_is_given(monkeypatch):
    checked = []

    def run_local(settings, progress, *, check):
        checked.append(check(settings.worker_command))
        return Outcome(lines=["trained"], result={})

    monkeypatch.setattr("launcher.local.run.run_local", run_local)
    settings = LocalConfig(command=("--data", "d", "--run", "r"))
    context = make_context(settings_of_line=lambda line: f"settings of {' '.join(line)}")
    assert local_command(settings, context).lines == ["trained"]
    assert checked == ["settings of train --data d --run r"]


def test_a_table_from_before_the_calibration_says_so(trained):
    trained(result(metrics=METRICS, calibrated_by="platt"))
    lines = train_command(SETTINGS, CONTEXT).lines
    assert lines[1:] == ["Before calibration; esmm evaluate shows it calibrated:", *metrics_table(METRICS)]
