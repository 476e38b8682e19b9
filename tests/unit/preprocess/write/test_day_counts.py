"""The counts of each day of some impressions, and their sum over partitions."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from esmm_dist.errors import InputDataError
from preprocess.read.days import NO_DAY
from preprocess.read.tally import TableTally
from preprocess.write.day_counts import count_days, days_of_split

LABELS = ("click", "buy")


def partition(days: list[int], raw: list[tuple[int, int]]) -> dict[str, Any]:
    raw_labels = np.array(raw, np.uint8).reshape(len(days), 2)
    labels = np.cumprod(raw_labels, axis=1, dtype=np.uint8)
    return {
        "impressions": len(days),
        "label_counts": labels.sum(axis=0).tolist(),
        "broken_chains": (raw_labels > labels).sum(axis=0).tolist(),
        "days": count_days(np.array(days, np.int32), labels, raw_labels),
    }


def test_counts_are_those_of_all_partitions_in_the_order_of_days():
    parts = [partition([1, 0, 1], [(1, 1), (0, 1), (0, 0)]), partition([-1, 1], [(1, 0), (1, 0)])]
    assert days_of_split("train", LABELS, parts, {}) == {
        "days": {
            "1969-12-31": {"impressions": 1, "labels": {"click": 1, "buy": 0}, "broken": {"buy": 0}},
            "1970-01-01": {"impressions": 1, "labels": {"click": 0, "buy": 0}, "broken": {"buy": 1}},
            "1970-01-02": {"impressions": 3, "labels": {"click": 2, "buy": 1}, "broken": {"buy": 0}},
        }
    }


def test_a_partition_without_impressions_adds_nothing():
    parts = [partition([], []), partition([0], [(0, 0)])]
    assert list(days_of_split("train", LABELS, parts, {})["days"]) == ["1970-01-01"]


def test_impressions_without_a_time_are_apart_and_alone_they_are_no_days():
    parts = [partition([NO_DAY, 0], [(1, 0), (0, 0)])]
    found = days_of_split("train", LABELS, parts, {})
    assert found["without_day"]["labels"] == {"click": 1, "buy": 0}
    assert list(found["days"]) == ["1970-01-01"]
    assert days_of_split("train", LABELS, [partition([NO_DAY], [(1, 0)])], {}) == {}


def test_a_day_of_which_all_negatives_are_left_out_is_a_day():
    tally = TableTally(left_out=2, left_out_days=Counter({"3": 2}))
    found = days_of_split("train", LABELS, [partition([0], [(1, 0)])], {"log": tally})
    assert found["days"]["1970-01-04"] == {
        "impressions": 0,
        "labels": {"click": 0, "buy": 0},
        "broken": {"buy": 0},
        "left_out_negatives": 2,
    }


def test_more_days_than_a_log_can_have_are_not_listed():
    days = list(range(36_601))
    assert days_of_split("train", LABELS, [partition(days, [(0, 0)] * len(days))], {}) == {}


def test_days_that_are_not_those_of_the_split_are_refused():
    changed = partition([0], [(1, 0)]) | {"label_counts": [2, 0]}
    with pytest.raises(InputDataError, match=r"days of the test split do not add up: they have \[1, 1, 0, 0, 0, 0\]"):
        days_of_split("test", LABELS, [changed], {})
