"""The settings of ``esmm local``: what cannot work is refused before anything is started."""

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from esmm_dist.errors import ConfigError
from launcher.cli import settings_of_line
from launcher.local.config import LocalConfig


def test_words_after_the_dashes_that_begin_with_a_flag_are_for_train():
    assert LocalConfig(command=("--data", "d")).worker_command == ("train", "--data", "d")
    assert LocalConfig(command=("evaluate", "--run", "r")).worker_command == ("evaluate", "--run", "r")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workers": 0}, "workers is 0. Set 1 or more"),
        ({"servers": -1}, "servers is -1. Set 0"),
        ({"workers": 2, "servers": 0}, "servers is 0 and workers is 2.*Set --servers 1 or more, or --workers 1"),
        ({"grace_seconds": 0}, "grace_seconds is 0"),
        ({"start_timeout_s": float("nan")}, "start_timeout_s is nan"),
        ({"standby": True}, "standby is set, but without min_workers or max_workers no worker is ever replaced"),
        ({"command": ()}, "nothing to run.* after --"),
        ({"command": ("synth", "raw")}, "Workers cannot run 'synth'.*train, evaluate, predict"),
        ({"command": ("--servers", "h:1")}, "--servers stands after --"),
        ({"command": ("train", "--token_file=x")}, "--token-file stands after --"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        LocalConfig(**({"command": ("--data", "d")} | settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_workers": 0}, r"max_workers is 0\. Set 1 or more"),
        ({"min_workers": -1}, r"min_workers is -1\. Set 1 or more"),
        ({"stall_seconds": float("inf")}, "stall_seconds is inf"),
        ({"min_workers": 1, "servers": 0}, "servers is 0 and workers is 2"),
        (
            {"workers": 5, "max_workers": 4},
            r"workers is 5, min_workers 1 and max_workers 4\. Set min <= workers <= max",
        ),
        ({"workers": 1, "min_workers": 2}, "workers is 1, min_workers 2 and max_workers 1"),
        ({"min_workers": 3, "max_workers": 2}, "workers is 2, min_workers 3 and max_workers 2"),
        ({"min_workers": 1, "command": ("evaluate",)}, "are for esmm train; 'evaluate' keeps its workers"),
    ],
)
def test_an_elastic_training_has_bounds_that_make_sense(settings, message):
    with pytest.raises(ConfigError, match=message):
        LocalConfig(**({"command": ("--data", "d")} | settings))


@pytest.mark.parametrize(
    ("settings", "num_workers", "bounds"),
    [
        ({}, 2, (1, 2)),
        ({"workers": 5}, 5, (1, 5)),
        ({"min_workers": 1}, 2, (1, 2)),
        ({"min_workers": 3}, 3, (3, 3)),
        ({"max_workers": 1}, 1, (1, 1)),
        ({"max_workers": 4}, 2, (1, 4)),
        ({"min_workers": 3, "max_workers": 4}, 3, (3, 4)),
        ({"workers": 4, "min_workers": 2}, 4, (2, 4)),
    ],
)
def test_workers_that_are_not_set_follow_from_those_that_are(settings: dict[str, Any], num_workers, bounds):
    config = LocalConfig(command=("--data", "d"), **settings)
    assert (config.num_workers, config.bounds) == (num_workers, bounds)
    assert config.elastic == ("min_workers" in settings or "max_workers" in settings)


seconds = st.floats(min_value=0.001, max_value=1e6)


@given(
    workers=st.sampled_from([None, 2, 3]),
    min_workers=st.sampled_from([None, 1, 2]),
    max_workers=st.sampled_from([None, 3, 9]),
    servers=st.integers(1, 4),
    grace_seconds=seconds,
    stall_seconds=seconds,
    start_timeout_s=seconds,
    standby=st.booleans(),
    words=st.lists(st.sampled_from(["a b", "--flag", "--x=1", "", "ä", "-", "s3://b/r"]), max_size=3),
)
def test_the_line_of_some_settings_gives_the_same_settings(words: list[str], **settings: Any):
    # A resume gives this line again
    settings["standby"] = settings["standby"] and (settings["min_workers"] or settings["max_workers"]) is not None
    config = LocalConfig(command=("train", *words), **settings)
    assert settings_of_line(config.line) == config
