"""The truth of another log: told by its samples, its clicks, or its conversions alone."""

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from esmm_dist.schema.manifest import read_manifest
from launcher.compare.truth import PlantedTruth
from launcher.compare.truth_check import check_truth
from tests.support.tiny_dataset import Group, Impression, write_dataset
from tests.unit.launcher.compare.comparisons import write_truth

LABELS = {3: (1, 1), 4: (1, 0), 5: (0, 0), 9: (0, 0)}
"""By sample id."""


def groups(labels):
    impressions = [Impression(sample_id=i, labels=each, fields=[[(3000, 1.0)], []]) for i, each in labels.items()]
    return [Group(fields=[[(1000, 1.0)], []], impressions=impressions)]


def check(tmp_path, there, here=LABELS):
    write_dataset(tmp_path / "data", {"train": groups(LABELS), "test": groups(here)}, lanes=1, parts=1)
    write_truth(tmp_path / "raw", "test", groups(there), more=3)
    manifest = read_manifest(tmp_path / "data")
    truth = PlantedTruth.find(tmp_path / "raw", "test", manifest)
    check_truth(truth, tmp_path / "data", manifest, "test", NoProgress())


def test_the_truth_of_the_same_log_is_taken_in_any_order_with_more_samples(tmp_path):
    check(tmp_path, dict(reversed(LABELS.items())) | {7: (1, 1)})


def test_a_conversion_without_a_click_is_an_anomaly_of_the_log_that_no_truth_has(tmp_path):
    check(tmp_path, LABELS, LABELS | {5: (0, 1)})


@pytest.mark.parametrize(
    ("there", "message"),
    [
        # another seed
        (
            LABELS | {4: (0, 0), 9: (1, 0)},
            "2 of the 4 impressions of test have another click in truth_test.parquet, such as sample 4, which has 0 "
            "there and 1 in the data set. Give the folder of the raw log that the data set was made from.",
        ),
        # another selection bias: the same clicks
        (LABELS | {4: (1, 1)}, "1 of the 4 impressions of test have another conversion in truth_test.parquet"),
        # a shorter log
        (
            {i: LABELS[i] for i in (3, 4)},
            "has no row for 2 of the 4 impressions of test, such as sample 5",
        ),
        ({1: (0, 0)}, "has no row for 4 of the 4 impressions of test, such as sample 3"),
    ],
)
def test_the_truth_of_another_log_is_refused(tmp_path, there, message):
    with pytest.raises(ConfigError) as refused:
        check(tmp_path, there)
    assert message in str(refused.value)
    assert f"truth is {tmp_path}/raw, which is of another log than {tmp_path}/data: " in str(refused.value)
