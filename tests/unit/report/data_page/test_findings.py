"""What stands out in a data set."""

from dataclasses import replace
from typing import Any

import pytest

from esmm_dist.report.data_page.findings import findings
from esmm_dist.report.data_statistics.statistics import DataStatistics, Funnel
from tests.support.made_up_statistics import statistics

QUIET: dict[str, Any] = {"psi": 0.01, "unseen_ids": 0, "unseen_occurrences": 0}


def quiet(**shape) -> DataStatistics:
    """Return statistics in which nothing stands out."""
    found = statistics(impressions=1_000_000, **shape)
    fields = [
        replace(
            field,
            splits={
                name: replace(split, **QUIET) if name != "train" else split for name, split in field.splits.items()
            },
        )
        for field in found.fields
    ]
    return replace(found, fields=fields)


def with_funnel(found: DataStatistics, split: str, **changes) -> DataStatistics:
    numbers = found.splits[split]
    return replace(found, splits={**found.splits, split: replace(numbers, funnel=replace(numbers.funnel, **changes))})


def with_field(found: DataStatistics, split: str, *, of_field=None, **changes) -> DataStatistics:
    first = found.fields[0]
    first = replace(first, splits={**first.splits, split: replace(first.splits[split], **changes)}, **(of_field or {}))
    return replace(found, fields=[first, *found.fields[1:]])


def texts(found: DataStatistics, *, warns: bool) -> list[str]:
    return [each.text for each in findings(found) if each.warns is warns]


def test_nothing_stands_out_where_nothing_is_wrong():
    assert findings(quiet()) == []


def days(first: int, last: int) -> dict[str, Funnel]:
    return {f"2024-01-{day:02}": Funnel(impressions=5, labels={}) for day in range(first, last + 1)}


WARNINGS = {
    "no impressions": (lambda q: replace(with_funnel(q, "test", impressions=0, labels={})), "test has no impressions."),
    "no positives": (
        lambda q: with_funnel(q, "test", labels={"label-0": 100_000, "label-1": 0}),
        "No impression of test has label-1: there is nothing to measure it by.",
    ),
    "only positives": (
        lambda q: with_funnel(q, "train", labels={"label-0": 100_000, "label-1": 100_000}),
        "Every impression with label-0 of train has label-1, too.",
    ),
    "broken labels": (
        lambda q: with_funnel(q, "train", broken={"label-1": 5_000}),
        # 20,000 have label-1 on the way, so that 5,000 are a fifth of all
        "5,000 impressions of train have label-1 without label-0, 20.0% of those with label-1",
    ),
    "few positives": (
        lambda q: with_funnel(q, "test", labels={"label-0": 100_000, "label-1": 25}),
        "test is small for label-1 (25 impressions have it: ± 0.058",
    ),
    "days before": (
        lambda q: replace(q, days={"train": days(5, 9), "test": days(1, 4)}),
        "The last day of test is 2024-01-04, before train's, 2024-01-09",
    ),
    "lost coverage": (
        lambda q: with_field(q, "test", covered=700_000),
        "Fewer impressions of test than of train have a value of field-0 (100% of train, 70.0% of test)",
    ),
    "unseen ids": (
        lambda q: with_field(q, "test", distinct_ids=100, unseen_ids=60),
        "Train lacks many ids of test, or has them too seldom: field-0 (60.0% of ids, 0% of occurrences).",
    ),
    "dropped ids": (
        lambda q: with_field(q, "test", occurrences=60, dropped_occurrences=40),
        "or has them too seldom: field-0 (40.0% of occurrences).",
    ),
    "drift": (
        lambda q: with_field(q, "test", psi=0.3, psi_noise=0.05),
        "Between train and test field-0 (0.3) shifts: population stability index above 0.25",
    ),
    "one value": (lambda q: with_field(q, "train", distinct_ids=1), "One value only: field-0. A model learns"),
    "no value": (
        lambda q: with_field(with_field(q, "train", covered=0), "test", covered=0),
        "No value in any impression: field-0.",
    ),
    "rejected lines": (
        lambda q: replace(q, rejected={"wrong_columns": 200_000}),
        # of 2,000,000 impressions and themselves
        "200,000 lines of the log (9.1%) were rejected",
    ),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_may_spoil_a_model_is_a_warning(name):
    change, text = WARNINGS[name]
    found = texts(change(quiet()), warns=True)
    assert any(text in each for each in found), found


def test_a_day_that_a_split_by_time_cuts_is_no_remark():
    cut = replace(quiet(), days={"train": days(1, 5), "test": days(5, 6)})
    assert not any("not by time" in each for each in texts(cut, warns=False))
    shared = replace(quiet(), days={"train": days(1, 5), "test": days(4, 6)})
    assert any("not by time" in each for each in texts(shared, warns=False))


REMARKS = {
    "a few broken labels": (lambda q: with_funnel(q, "train", broken={"label-1": 100}), "100 impressions of train"),
    "shared days": (
        lambda q: replace(q, days={"train": days(1, 5), "test": days(4, 6)}),
        "2 of test's 3 days are also train's",
    ),
    "a few rejected": (lambda q: replace(q, rejected={"wrong_columns": 1}), "1 line of the log"),
    "left out": (lambda q: replace(q, left_out={"negatives": 7}), "Not in these numbers: 7 negatives."),
    "a sample": (lambda q: replace(q, sample_share=0.1), "10.0% was read"),
}


@pytest.mark.parametrize("name", REMARKS)
def test_what_a_reader_should_know_is_a_remark(name):
    change, text = REMARKS[name]
    changed = change(quiet())
    assert texts(changed, warns=True) == []
    assert any(text in each for each in texts(changed, warns=False)), findings(changed)


@pytest.mark.parametrize(("splits", "text"), [(("test",), "no train split"), (("train",), "only the train split")])
def test_a_missing_split_is_a_remark(splits, text):
    found = findings(quiet(splits=splits))
    assert [text in each.text and not each.warns for each in found] == [True]


def test_ids_that_preprocess_dropped_are_no_lost_coverage():
    found = with_field(quiet(), "test", covered=800_000, not_kept=200_000)
    assert texts(found, warns=True) == []


def test_a_shift_within_chance_is_no_warning():
    assert texts(with_field(quiet(), "test", psi=0.3, psi_noise=0.15), warns=True) == []
    assert texts(with_field(quiet(), "test", psi=0.2, psi_noise=0.001), warns=True) == []
    assert texts(with_field(quiet(), "test", psi=8.0, psi_noise=None), warns=True) == []  # of a handful of users


def test_warnings_come_first_and_many_fields_are_cut():
    found = quiet(fields=20)
    far = []
    for field in found.fields:
        shifted = replace(field.splits["test"], psi=1.0)
        far.append(replace(field, splits={**field.splits, "test": shifted}))
    first, *_ = findings(replace(found, fields=far, sample_share=0.5))
    assert "and 15 more shift" in first.text
