"""The report of a terminal."""

from dataclasses import replace

from esmm_dist.report.data_statistics.statistics import (
    CountHistogram,
    DataStatistics,
    FieldInSplit,
    FieldStatistics,
    Funnel,
    IdFrequency,
    SplitStatistics,
)
from esmm_dist.report.data_statistics.text import not_in_train, statistics_lines

ONE = CountHistogram(counts=[1], things=[100], total=100, mean=1.0, p99=1)
NO_FREQUENCY = IdFrequency(min_counts=[], ids=[], occurrences=[])
TRAIN = FieldInSplit(
    distinct_ids=40,
    occurrences=90,
    covered=90,
    ids_an_impression=ONE,
    unseen_ids=None,
    unseen_occurrences=None,
    psi=None,
)
TEST = replace(TRAIN, unseen_ids=3, unseen_occurrences=9, psi=0.25, psi_noise=0.01, dropped_occurrences=10)
FIELD = FieldStatistics(
    name="205",
    alias="item_id",
    owner="item",
    kind="one-hot",
    splits={"train": TRAIN, "test": TEST},
    frequency=NO_FREQUENCY,
    ids_are_estimates=False,
    dropped_ids=7,
)


def split(impressions: int, click: int, buy: int, **funnel: int) -> SplitStatistics:
    labels = {"click": click, "buy": buy}
    return SplitStatistics(
        funnel=Funnel(impressions=impressions, labels=labels, **funnel),  # type: ignore[arg-type]
        contexts=None,
        impressions_a_context=None,
        contexts_a_user=None,
    )


STATISTICS = DataStatistics(
    source="data",
    source_kind="data set",
    schema="shop",
    label_names=["click", "buy"],
    label_parents=[-1, 0],
    splits={"train": split(100, 20, 5), "test": split(100, 0, 0)},
    fields=[FIELD],
    days={},
    sample_share=1.0,
)


def report(**changes: object) -> str:
    return "\n".join(statistics_lines(replace(STATISTICS, **changes)))  # type: ignore[arg-type]


def test_rates_are_of_the_label_before():
    lines = report().splitlines()
    assert lines[0] == "Data set data: schema shop"
    assert lines[2].split()[:7] == ["split", "impressions", "click", "rate", "buy", "of", "click"]
    assert lines[3].split() == ["train", "100", "20", "20.00%", "5", "25.00%", "-", "-", "-", "-"]
    assert lines[4].split() == ["test", "100", "0", "0.00%", "0", "-", "-", "-", "-", "-"]


def test_a_field_shows_what_is_new_and_its_drift_beside_chance():
    row = next(line for line in report().splitlines() if line.startswith("item_id"))
    of_field = ["item_id", "one-hot", "40", "7", "90.00%", "90.00%", "1.00", "1"]
    assert row.split() == [*of_field, "19.0%", "0.250", "(0.010)"]
    assert not_in_train(TEST) == (9 + 10) / (90 + 10)
    assert not_in_train(TRAIN) is None


def test_the_first_rate_counts_negatives_that_were_left_out():
    text = report(splits={"train": split(100, 20, 5, left_out_negatives=300)})
    assert "5.00%" in text
    assert "train: 300 negatives were left out; the first rate counts them." in text


def test_estimates_samples_and_what_is_left_out_are_said():
    text = report(
        fields=[replace(FIELD, ids_are_estimates=True)],
        sample_share=0.1,
        left_out={"records that cannot be read": 12},
        rejected={"bad_time": 3},
    )
    assert "A sample: 10.00% of the impressions were read" in text
    assert "~40" in text
    assert "not in these numbers: 12 records that cannot be read." in text
    assert "lines of the log that were rejected: bad_time 3." in text


def test_without_splits_and_fields_there_is_a_report_still():
    assert "Data set data" in report(splits={}, fields=[])
