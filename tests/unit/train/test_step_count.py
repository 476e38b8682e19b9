"""How many steps a run makes."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.step_count import StepCount, count_steps, refuse_past_end


def config_of(**settings: Any) -> TrainConfig:
    return build(TrainConfig, {"data": Path("data"), "run": "run", **settings}, where="test")


@given(per_epoch=st.integers(1, 10**6), epochs=st.integers(1, 100), max_steps=st.none() | st.integers(1, 10**9))
def test_the_total_is_that_of_all_epochs_or_max_steps(per_epoch, epochs, max_steps):
    steps = count_steps(config_of(max_steps=max_steps), per_epoch=per_epoch, epochs=epochs)
    assert (steps.per_epoch, steps.epochs, steps.all_epochs) == (per_epoch, epochs, per_epoch * epochs)
    assert steps.total == (steps.all_epochs if max_steps is None else min(max_steps, steps.all_epochs))


def test_a_split_without_batches_is_refused():
    with pytest.raises(ConfigError, match="data has no records in split 'train': there is nothing to learn from"):
        count_steps(config_of(), per_epoch=0, epochs=3)


@pytest.mark.parametrize(
    ("warmup_steps", "advised"),
    [
        (30, 3),
        (31, 3),
        (10**9, 3),
    ],
)
def test_a_warmup_of_all_epochs_or_more_is_refused(warmup_steps, advised):
    message = (
        f"warmup_steps is {warmup_steps}, but all epochs have 30 steps: the learning rates would never reach their "
        f"full value. Set warmup_steps to {advised} or so, or more epochs."
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        count_steps(config_of(warmup_steps=warmup_steps), per_epoch=10, epochs=3)
    assert count_steps(config_of(warmup_steps=29), per_epoch=10, epochs=3).total == 30


def test_max_steps_does_not_shorten_what_the_warmup_is_measured_against():
    """The schedule is that of all epochs, so that a run that stops early and resumes is the same run."""
    assert count_steps(config_of(warmup_steps=20, max_steps=5), per_epoch=10, epochs=3).total == 5


STEPS = StepCount(per_epoch=10, all_epochs=30, total=30)


@pytest.mark.parametrize(
    ("max_steps", "done", "message"),
    [
        (7, 8, "max_steps is 7, but this run would resume from RUN/step-8, which has 8 steps. Set max_steps to 8 or "),
        (None, 31, "epochs is 3, which is 30 steps, but .* has 31 steps. Set epochs to 4 or more, or start a new run"),
        (None, 40, "epochs is 3, which is 30 steps, but .* has 40 steps. Set epochs to 4 or more"),
        (
            7,
            41,
            "max_steps is 7 and epochs is 3, .* Set max_steps to 41 or more and epochs to 5 or more, or",
        ),
    ],
)
def test_a_run_that_is_past_its_end_names_each_setting_and_its_least_value(max_steps, done, message):
    with pytest.raises(ConfigError, match=message):
        refuse_past_end(config_of(max_steps=max_steps), STEPS, done=done, checkpoint=f"RUN/step-{done}")


@pytest.mark.parametrize(("max_steps", "done"), [(None, 0), (None, 30), (8, 8), (40, 30)])
def test_a_run_that_is_at_its_end_may_resume(max_steps, done):
    refuse_past_end(config_of(max_steps=max_steps), STEPS, done=done, checkpoint="RUN")


@pytest.mark.parametrize(
    ("max_steps", "expected"),
    [
        (None, "1,908 steps: 3 x 636 batches of 1,344 records"),
        (1908, "1,908 steps: 3 x 636 batches of 1,344 records"),
        (300, "300 (max_steps) of 1,908 steps: 3 x 636 batches of 1,344 records"),
    ],
)
def test_the_steps_are_the_product_that_is_named_beside_them(max_steps, expected):
    steps = count_steps(config_of(max_steps=max_steps), per_epoch=636, epochs=3)
    assert steps.in_words(1344) == expected
