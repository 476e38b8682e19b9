"""Which days make which split: a table of what was asked for, by hand."""

import datetime
from typing import Any

import numpy as np
import pytest

from esmm_dist.errors import InputDataError
from preprocess.day_settings import DayChoice
from preprocess.read.day_cut import choose_cut, impressions_of_splits, shown_days
from preprocess.read.days import day_of, day_shown

BEGIN = day_of(datetime.date(2024, 2, 27))
WEEK = {BEGIN + n: 10 * (n + 1) for n in range(7)}  # 2024-02-27 to 03-04; the 29th is among them
GAPS = {BEGIN: 10, BEGIN + 1: 20, BEGIN + 5: 60}


def date(day: int) -> datetime.date:
    return datetime.date(2024, 2, 27) + datetime.timedelta(days=day)


def splits(choice: dict[str, Any], impressions: dict[int, int]) -> dict[str, list[int]]:
    """Days of each split, counted from the first one of the log."""
    cut = choose_cut(DayChoice(**choice), impressions)
    found = impressions_of_splits(cut, impressions)
    assert {day: n for days in found.values() for day, n in days.items()} == impressions
    return {split or "none": [day - BEGIN for day in days] for split, days in sorted(found.items())}


V, T, BOTH = ("validation",), ("test",), ("validation", "test")

CASES: list[tuple[dict[str, Any], dict[int, int], dict[str, list[int]]]] = [
    ({"test_days": 2, "splits": T}, WEEK, {"train": [0, 1, 2, 3, 4], "test": [5, 6]}),
    ({"validation_days": 1, "splits": V}, WEEK, {"train": [0, 1, 2, 3, 4, 5], "validation": [6]}),
    ({"validation_days": 2, "test_days": 1, "splits": BOTH}, WEEK,
     {"train": [0, 1, 2, 3], "validation": [4, 5], "test": [6]}),
    # Counted on from train_until: what follows is test, or as many days of it
    ({"train_until": date(3), "splits": T}, WEEK, {"train": [0, 1, 2, 3], "test": [4, 5, 6]}),
    ({"train_until": date(2), "test_days": 1, "splits": T}, WEEK,
     {"train": [0, 1, 2], "test": [3], "none": [4, 5, 6]}),
    ({"train_until": date(2), "validation_days": 2, "splits": BOTH}, WEEK,
     {"train": [0, 1, 2], "validation": [3, 4], "test": [5, 6]}),
    ({"train_until": date(2), "validation_days": 2, "test_days": 1, "splits": BOTH}, WEEK,
     {"train": [0, 1, 2], "validation": [3, 4], "test": [5], "none": [6]}),
    # The log has test files of its own: later days of the train files are in no split
    ({"train_until": date(2), "splits": ()}, WEEK, {"train": [0, 1, 2], "none": [3, 4, 5, 6]}),
    ({"train_until": date(2), "validation_days": 1, "splits": V}, WEEK,
     {"train": [0, 1, 2], "validation": [3], "none": [4, 5, 6]}),
    # Of some days alone; they end the log
    ({"days": (date(1), date(4)), "test_days": 1, "splits": T}, WEEK,
     {"none": [0, 5, 6], "train": [1, 2, 3], "test": [4]}),
    ({"days": (date(1), date(90)), "test_days": 1, "splits": T}, WEEK,
     {"none": [0], "train": [1, 2, 3, 4, 5], "test": [6]}),
    # Days without impressions are days
    ({"test_days": 2, "splits": T}, GAPS, {"train": [0, 1], "test": [5]}),
    ({"validation_days": 4, "test_days": 1, "splits": BOTH}, GAPS,
     {"train": [0], "validation": [1], "test": [5]}),
]  # fmt: skip


@pytest.mark.parametrize(("choice", "impressions", "expected"), CASES)
def test_days_of_each_split(choice: dict[str, Any], impressions: dict[int, int], expected: dict[str, list[int]]):
    assert splits(choice, impressions) == dict(sorted(expected.items()))


WRONG: list[tuple[dict[str, Any], dict[int, int], str]] = [
    ({"test_days": 7, "splits": T}, WEEK,
     r"test_days = 7 leaves the train split without an impression: those of the log are of 2024-02-27, .*2024-03-04\."),
    ({"test_days": 70, "splits": T}, WEEK, r"test_days = 70 leaves the train split without"),
    ({"validation_days": 3, "test_days": 1, "splits": BOTH}, GAPS,
     r"validation_days = 3, test_days = 1 leaves the validation split without an impression: .* 2024-02-28, 2024-03"),
    ({"train_until": date(6), "splits": T}, WEEK, r"train_until = 2024-03-04 leaves the test split without an"),
    ({"train_until": date(99), "validation_days": 1, "splits": BOTH}, WEEK, r"leaves the validation split without"),
    ({"train_until": date(-1), "splits": T}, WEEK, r"train_until = 2024-02-26 leaves the train split without"),
    ({"days": (date(9), date(9)), "test_days": 1, "splits": T}, WEEK, r"No impression is of 2024-03-07: those of the"),
    ({"days": (date(9), date(10)), "test_days": 1, "splits": T}, WEEK, r"No impression is of 2024-03-07 to 2024-03-08"),
]  # fmt: skip


@pytest.mark.parametrize(("choice", "impressions", "message"), WRONG)
def test_a_split_without_an_impression_is_refused(choice: dict[str, Any], impressions: dict[int, int], message: str):
    with pytest.raises(InputDataError, match=message):
        choose_cut(DayChoice(**choice), impressions)


def test_many_days_are_shown_as_the_first_and_the_last():
    many = {BEGIN + n: 1 for n in range(0, 40, 2)}
    with pytest.raises(InputDataError, match=r"are of 2024-02-27 to 2024-04-05 \(20 days\)\. Give other days"):
        choose_cut(DayChoice(test_days=99, splits=T), many)
    assert shown_days([BEGIN]) == day_shown(BEGIN) == "2024-02-27"


def test_a_log_without_a_day_is_told_of_its_time():
    with pytest.raises(InputDataError, match=r"No impression of the log has a time\. Check source\.time"):
        choose_cut(DayChoice(test_days=1, splits=T), {})
    with pytest.raises(InputDataError, match=r"No impression is of 2024-02-27: no impression of the log has a time"):
        choose_cut(DayChoice(days=(date(0), date(0)), test_days=1, splits=T), {})


def test_rows_of_no_split_are_marked():
    cut = choose_cut(DayChoice(days=(date(1), date(4)), validation_days=1, test_days=1, splits=BOTH), WEEK)
    assert cut.split_of(np.arange(BEGIN, BEGIN + 7)).tolist() == [-1, 0, 0, 1, 2, -1, -1]
    assert cut.holds(np.arange(BEGIN, BEGIN + 7)).tolist() == [False, True, True, True, True, False, False]
