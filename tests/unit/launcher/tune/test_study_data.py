"""Which split a study goes by, and when its trials are evaluated."""

import pytest

from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.train.config import TrainConfig
from launcher.tune.study_data import StudyData
from tests.unit.launcher.tune.searches import make_data


def train_config(**settings):
    return build(TrainConfig, {"data": "d", "run": "r", **settings}, where="")


def test_trials_are_compared_on_the_validation_split(tmp_path):
    data = StudyData.read(make_data(tmp_path / "data"))
    assert data.split == "validation"
    assert data.tasks == ["ctr", "cvr", "ctcvr"]


def test_the_test_split_chooses_nothing(tmp_path):
    folder = make_data(tmp_path / "data", splits=("train", "test"))
    with pytest.raises(ConfigError, match="data has no validation split.* esmm preprocess RAW DATA --validation-share"):
        StudyData.read(folder)


def test_evaluations_are_evenly_over_the_steps_of_a_training(tmp_path):
    data = StudyData.read(make_data(tmp_path / "data"))
    # 200 records over 4 lanes, 2 records of a lane a batch: 25 steps an epoch
    config = train_config(input={"global_batch_records": 8, "epochs": 2})
    assert data.total_steps(config) == 50
    assert data.eval_every_steps(config, 6) == 9  # at 9, 18, ... 45, and at the end
    assert data.eval_every_steps(config, 100) == 1
    assert data.eval_every_steps(train_config(input={"global_batch_records": 8}, max_steps=12), 6) == 2


def test_a_batch_that_the_data_set_cannot_give_is_refused(tmp_path):
    data = StudyData.read(make_data(tmp_path / "data"))
    with pytest.raises(ConfigError, match="global_batch_records"):
        data.total_steps(train_config(input={"global_batch_records": 6}))
