"""Settings of training: what is out of range is refused by name."""

from pathlib import Path

import pytest

from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.train.config import TrainConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dense": {"dense_learning_rate": 0}}, "dense_learning_rate is 0.0. Set a positive number"),
        ({"evaluation": {"eval_every_steps": -1}}, "eval_every_steps is -1. Set 0 or more"),
        ({"evaluation": {"eval_max_impressions": -1}}, "eval_max_impressions is -1. Set 0 or more"),
        ({"checkpoint": {"checkpoint_every_steps": -1}}, "checkpoint_every_steps is -1. Set 0 or more"),
        ({"checkpoint": {"keep_checkpoints": 0}}, "keep_checkpoints is 0. Keep at least 1"),
        ({"warmup_steps": -1}, "warmup_steps is -1. Set 0 or more"),
        ({"schedule": "linear"}, "schedule is 'linear'.* Known: constant, cosine, inverse_sqrt"),
        ({"max_steps": 0}, "max_steps is 0. Set 1 or more, or leave it out"),
        ({"log_every_steps": 0}, "log_every_steps is 0. Set 1 or more"),
        ({"seed": -1}, r"seed is -1. Set 0 .. 2147483647"),
        ({"seed": 2**31}, r"seed is 2147483648. Set 0 .. 2147483647"),
    ],
)
def test_a_setting_out_of_range_is_named_with_its_value(settings, message):
    with pytest.raises(ConfigError, match=message):
        build(TrainConfig, {"data": "d", "run": "r", **settings}, where="flags")


def test_every_setting_but_the_two_folders_has_a_default():
    config = TrainConfig(data=Path("d"), run="r")
    assert config == build(TrainConfig, {"data": "d", "run": "r"}, where="flags")
