"""The values that a search may give to one setting."""

import pytest

from esmm_dist.errors import ConfigError
from launcher.tune.setting_range import SettingRange


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "neither choices nor low and high"),
        ({"low": 1}, "neither choices nor low and high"),
        ({"low": 2, "high": 2}, "low is 2 and high is 2. Set low below high"),
        ({"low": 0, "high": 1, "log": True}, "low is 0, which has no logarithm"),
        ({"low": 1, "high": 8, "step": 2, "log": True}, "step and log are both set"),
        ({"low": 1, "high": 8, "step": 0}, "step is 0. Set a positive number"),
        ({"low": 0, "high": 0.65, "step": 0.1}, "no number of steps of 0.1 from 0 reaches. Set high to 0.7 or 0.6."),
        ({"low": 1, "high": 2, "step": 3}, "reaches. Set high to 4."),
        ({"choices": ("a",)}, "choices has 1 value. Give at least two"),
        ({"choices": ("a", "b"), "low": 1}, "choices stands beside low"),
    ],
)
def test_a_range_without_values_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        SettingRange(**given)


@pytest.mark.parametrize(
    ("given", "whole", "expected"),
    [
        ({"choices": ("a", "b", "c")}, False, ("a", "b", "c")),
        ({"low": 0.1, "high": 1.0}, False, (0.1, 1.0)),
        ({"low": 1, "high": 4}, True, (1, 2, 3, 4)),
        ({"low": 1, "high": 1000}, True, (1, 2, 1000)),  # too many for all
        ({"low": 8, "high": 24, "step": 8}, True, (8, 16, 24)),
        ({"low": 1, "high": 64, "log": True}, True, (1, 64)),
    ],
)
def test_what_is_checked_first_are_the_ends_and_the_values_between_if_they_are_few(given, whole, expected):
    assert tuple(SettingRange(**given).values_to_try(whole=whole)) == expected


def test_a_high_end_that_steps_reach_but_for_rounding_is_taken():
    assert SettingRange(low=0, high=0.6, step=0.1).bounds == (0, 0.6)
