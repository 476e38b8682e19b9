"""What a trial's trainings are given, and what ``best.yaml`` holds."""

import yaml

from launcher.tune.study_data import StudyData
from launcher.tune.trial_files import settings_text, trial_settings, without_baseline
from tests.unit.launcher.tune.searches import LEARNING_RATE, make_data, tune_config

VALUES = {LEARNING_RATE: 0.05}


def test_a_trial_has_its_values_its_seed_and_its_evaluations(tmp_path):
    data = StudyData.read(make_data(tmp_path / "data"))
    settings = {"seed": 5, "input": {"global_batch_records": 8, "epochs": 2}}  # 50 steps
    assert trial_settings(tune_config(tmp_path, settings=settings, evaluations=5), data, VALUES) == {
        "seed": 5,
        "input": {"global_batch_records": 8, "epochs": 2},
        "embedding": {"embedding_learning_rate": 0.05},
        "evaluation": {"eval_split": "validation", "eval_every_steps": 10},
    }


def test_a_period_of_evaluations_that_is_given_stays(tmp_path):
    data = StudyData.read(make_data(tmp_path / "data"))
    config = tune_config(tmp_path, settings={"evaluation": {"eval_every_steps": 3}})
    assert trial_settings(config, data, VALUES)["seed"] == 1  # written, so that best.yaml means the same for ever
    assert trial_settings(config, data, VALUES)["evaluation"] == {"eval_split": "validation", "eval_every_steps": 3}


def test_trials_measure_no_baseline_unless_asked_to():
    assert without_baseline({"seed": 1}) == {"evaluation": {"baseline": False}, "seed": 1}
    assert without_baseline({"evaluation": {"baseline": True}}) == {"evaluation": {"baseline": True}}


def test_settings_are_read_back_as_they_were_written():
    settings = {"model": {"hidden_units": [128, 64], "dropout": 0.1}, "schedule": "cosine"}
    text = settings_text(settings, ["Trial 3"])
    assert text.startswith("# Trial 3\n")
    assert yaml.safe_load(text) == settings


def test_early_stopping_goes_by_the_objective_unless_it_has_a_metric_of_its_own(tmp_path):
    data = StudyData.read(make_data(tmp_path / "data"))

    def metric(objective, **evaluation):
        config = tune_config(
            tmp_path, objective=objective, settings={"evaluation": {"early_stopping": 2, **evaluation}}
        )
        return trial_settings(config, data, VALUES)["evaluation"].get("early_stopping_metric")

    assert metric("ctr.log_loss") == "ctr.log_loss"
    assert metric("ctr.auc", early_stopping_metric="cvr.auc") == "cvr.auc"
    assert metric("ctr.auc + cvr.auc") is None  # the default of esmm train
