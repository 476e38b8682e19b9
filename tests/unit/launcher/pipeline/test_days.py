"""Which days a start of the pipeline does."""

from datetime import UTC, datetime

import pytest

from esmm_dist.errors import ConfigError
from launcher.pipeline.days import day_before, days_to_do
from tests.unit.launcher.pipeline.pipelines import DAY_1, DAY_2, DAY_3, DAY_4, pipeline

NOON = datetime(2022, 4, 28, 12, tzinfo=UTC)
"""On the day after the third one."""


def days(done=(), now=NOON, **settings):
    return days_to_do(pipeline(**settings), list(done), now)


def test_all_days_up_to_yesterday_are_done():
    assert days() == [DAY_1, DAY_2, DAY_3]


def test_yesterday_is_that_of_the_time_zone():
    late = datetime(2022, 4, 28, 23, tzinfo=UTC)
    assert days(now=late) == [DAY_1, DAY_2, DAY_3]
    assert days(now=late, time_zone="Asia/Tokyo") == [DAY_1, DAY_2, DAY_3, DAY_4]


def test_the_last_day_that_is_done_is_looked_at_again_and_those_before_are_not():
    assert days([DAY_1, DAY_2]) == [DAY_2, DAY_3]
    assert days([DAY_1, DAY_2, DAY_3]) == [DAY_3]


def test_days_up_to_the_one_that_is_named_are_done():
    assert days(until=DAY_2) == [DAY_1, DAY_2]
    assert days([DAY_1], until=DAY_4) == [DAY_1, DAY_2, DAY_3, DAY_4]


def test_one_day_is_done_alone_after_those_before_it():
    assert days(day=DAY_1) == [DAY_1]
    assert days([DAY_1], day=DAY_2) == [DAY_1, DAY_2]
    with pytest.raises(
        ConfigError, match=r"day is 2022-04-27, but 2022-04-26 before it is not done. .*--until 2022-04-"
    ):
        days([DAY_1], day=DAY_3)
    with pytest.raises(ConfigError, match=r"but 2022-04-25 before it is not done"):
        days(day=DAY_2)
    assert days([DAY_1], day=DAY_3, skip_days=(DAY_2,)) == [DAY_1, DAY_3]


def test_days_without_a_log_are_left_out():
    assert days(skip_days=(DAY_2,)) == [DAY_1, DAY_3]


def test_a_day_before_those_that_the_model_has_learned_from_is_refused():
    with pytest.raises(ConfigError, match="2022-04-26 is asked for, but the model has learned from 2022-04-27 already"):
        days([DAY_1, DAY_3], until=DAY_2)


def test_before_the_first_day_there_is_nothing_to_do():
    assert days(now=datetime(2022, 4, 20, tzinfo=UTC)) == []


def test_days_done_ahead_of_the_clock_are_looked_at_again():
    assert days([DAY_1, DAY_4], now=datetime(2022, 4, 27, tzinfo=UTC)) == [DAY_4]


def test_the_day_before_is_the_last_one_that_was_learned_from():
    assert day_before(DAY_1, [DAY_1, DAY_2]) is None
    assert day_before(DAY_4, [DAY_1, DAY_2]) == DAY_2
    assert day_before(DAY_2, [DAY_1, DAY_2]) == DAY_1
