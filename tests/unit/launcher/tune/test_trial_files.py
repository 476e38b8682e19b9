"""What a trial's trainings are given, and what ``best.yaml`` holds."""

from launcher.tune.study_data import StudyData
from launcher.tune.trial_files import trial_settings
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
