"""The size of the batches that are scored."""

import pytest

from esmm_dist.inference.trained_model import scoring_batch_records
from esmm_dist.schema.manifest import read_manifest
from tests.support.tiny_dataset import tiny_groups, write_dataset


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """160 records in 4 lanes, with 2.5 impressions each on average."""
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, {"test": tiny_groups(160)})
    return read_manifest(folder)


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        (16, 64),
        (2, 8),
        (1, 4),  # no batch has fewer records than there are lanes
        (18, 72),
        (1_000_000, 1_000_000),  # training's batches fit, so these do
    ],
)
def test_a_batch_has_four_times_the_records_of_training_and_no_fewer(manifest, training, expected):
    assert scoring_batch_records(training, manifest, "test") == expected


def test_a_batch_has_no_more_than_16_384_impressions_unless_training_has(manifest):
    test = manifest.splits["test"]
    records = scoring_batch_records(6000, manifest, "test")
    assert 6000 < records < 24_000
    assert records * test.impressions / test.records == pytest.approx(16_384, rel=1e-3)


def test_a_split_that_is_not_there_is_left_to_the_reader_to_report(manifest):
    assert scoring_batch_records(16, manifest, "nowhere") == 64
