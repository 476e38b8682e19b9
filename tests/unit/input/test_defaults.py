import pytest

from esmm_dist.input.config import InputConfig
from esmm_dist.input.defaults import BatchPlan, batch_plan
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.manifest import DatasetManifest, Split

SCHEMA = Schema(name="s", labels=("click", "conversion"), fields=(Field(name="item", owner="item"),))


def data_set(train_records: int, lanes: int = 64, *, group_size: int = 8) -> DatasetManifest:
    impressions = train_records * group_size
    split = Split(records=train_records, impressions=impressions, label_counts={}, broken_chains={}, shards=())
    return DatasetManifest(
        schema=SCHEMA,
        compression="NONE",
        lanes=lanes,
        group_size=group_size,
        splits={"train": split},
        vocabulary_file="v",
        vocabulary_size=1,
    )


@pytest.mark.parametrize(
    ("records", "lanes", "expected"),
    [
        (5_300_000, 64, BatchPlan(global_batch_records=512, epochs=1)),  # Ali-CCP: 10,352 batches
        (512 * 2000, 64, BatchPlan(global_batch_records=512, epochs=1)),  # 2,000 batches are enough for one pass
        (512 * 2000 - 1, 64, BatchPlan(global_batch_records=512, epochs=2)),
        (80_000, 64, BatchPlan(global_batch_records=192, epochs=2)),  # 80,000 / 400 = 200, rounded down to lanes
        (30_000, 64, BatchPlan(global_batch_records=64, epochs=2)),  # 75 -> 64
        (25_000, 64, BatchPlan(global_batch_records=64, epochs=2)),  # 200,000 impressions: the fewest of a large log
        (24_999, 4, BatchPlan(global_batch_records=8, epochs=3)),  # a small log: 64 impressions are 8 records
        (24_999, 64, BatchPlan(global_batch_records=64, epochs=3)),  # never less than a record a lane
        (100, 16, BatchPlan(global_batch_records=16, epochs=3)),
        (10_000_000, 1000, BatchPlan(global_batch_records=1000, epochs=1)),  # more lanes than 512
        (0, 4, BatchPlan(global_batch_records=4, epochs=3)),
    ],
)
def test_a_small_data_set_gets_smaller_batches_and_a_second_pass(records, lanes, expected):
    assert batch_plan(InputConfig(), data_set(records, lanes)) == expected


def test_a_small_log_of_one_impression_a_record_is_learned_in_three_passes_of_64_impressions_a_batch():
    expected = BatchPlan(global_batch_records=64, epochs=3)
    assert batch_plan(InputConfig(), data_set(33_485, 16, group_size=1)) == expected
    assert batch_plan(InputConfig(), data_set(57_741, 32, group_size=1)) == expected


def test_numbers_that_are_given_stay():
    given = InputConfig(global_batch_records=128, epochs=5)
    assert batch_plan(given, data_set(30_000)) == BatchPlan(global_batch_records=128, epochs=5)


def test_a_data_set_without_train_split_gets_the_smallest_batch():
    manifest = DatasetManifest(
        schema=SCHEMA, compression="NONE", lanes=8, group_size=8, splits={}, vocabulary_file="v", vocabulary_size=0
    )
    assert batch_plan(InputConfig(), manifest).global_batch_records == 8
