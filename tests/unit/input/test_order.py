"""The arithmetic of the global order, without files."""

import dataclasses

import numpy as np
import pytest

from esmm_dist.config import build
from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.input.config import InputConfig
from esmm_dist.input.order import (
    RankShare,
    ShuffleBlock,
    check_lanes,
    idle_ranks_warning,
    lane_reads,
    lane_records,
    lanes_of_records,
    one_process_order,
    records_per_lane,
    steps_in_epoch,
)
from esmm_dist.schema.manifest import DatasetManifest, Shard, Split
from tests.support.tiny_dataset import tiny_schema


def manifest_of(records: list[list[int]]) -> DatasetManifest:
    """Make a manifest from the records of each part of each lane."""
    shards = tuple(
        Shard(path=f"{lane}-{part}", lane=lane, part=part, records=n, impressions=n, file_bytes=0, crc32c=0)
        for lane, parts in enumerate(records)
        for part, n in enumerate(parts)
    )
    total = sum(map(sum, records))
    split = Split(records=total, impressions=total, label_counts={}, broken_chains={}, shards=shards)
    return DatasetManifest(
        schema=tiny_schema(),
        compression="NONE",
        lanes=len(records),
        group_size=1,
        splits={"train": split},
        vocabulary_file="",
        vocabulary_size=0,
    )


@pytest.mark.parametrize("name", ["global_batch_records", "epochs", "prefetch"])
def test_an_input_setting_below_one_is_refused(name):
    with pytest.raises(ConfigError, match=f"{name} is 0. Set 1 or more"):
        build(InputConfig, {name: 0}, where="flags")


def test_a_batch_takes_the_same_number_of_records_from_every_lane():
    assert records_per_lane(manifest_of([[1], [1], [1]]), 12) == 4


@pytest.mark.parametrize(("batch", "near"), [(500, 512), (100, 128), (1, 64), (97, 128)])
def test_a_batch_that_does_not_divide_among_the_lanes_is_refused_with_a_near_one(batch, near):
    message = f"global_batch_records is {batch}, but the data set has 64 lanes.* a multiple of 64, such as {near}"
    with pytest.raises(ConfigError, match=message):
        records_per_lane(manifest_of([[1]] * 64), batch)


@pytest.mark.parametrize(
    ("records", "steps"),
    [
        ([[4], [4]], 2),
        ([[5], [4]], 3),  # one record is left for the last batch
        ([[1], [0]], 1),
        ([[0], [0]], 0),
        ([[2, 2], [1, 3]], 2),  # how a lane is cut does not matter
    ],
)
def test_steps_count_the_last_partial_batch(records, steps):
    assert steps_in_epoch(manifest_of(records), "train", 4) == steps


def test_lanes_without_a_shard_have_no_records():
    assert lane_records(manifest_of([[3, 2], []]), "train") == {0: 5, 1: 0}


def test_lanes_that_differ_by_more_than_a_record_are_refused():
    check_lanes(manifest_of([[5], [4], [5]]), "train")
    message = "Split 'train': lane 2 has 6 records and lane 1 has 4; lanes must be equal to within one"
    with pytest.raises(InputDataError, match=message):
        check_lanes(manifest_of([[5], [4], [6]]), "train")


def test_without_a_seed_a_lane_is_read_in_file_order():
    reads = lane_reads(manifest_of([[3, 2, 4]]), "train", 0, epoch=5, first_record=0, seed=None)
    assert [(r.shard.part, r.shuffle_seed, r.skip) for r in reads] == [(0, None, 0), (1, None, 0), (2, None, 0)]


def test_parts_listed_in_any_order_are_read_by_their_number():
    manifest = manifest_of([[3, 2, 4]])
    split = dataclasses.replace(manifest.splits["train"], shards=manifest.splits["train"].shards[::-1])
    shuffled = dataclasses.replace(manifest, splits={"train": split})
    assert [r.shard.part for r in lane_reads(shuffled, "train", 0, epoch=0, first_record=0, seed=None)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("first", "expected"),
    [(0, [(0, 0), (1, 0), (2, 0)]), (2, [(0, 2), (1, 0), (2, 0)]), (3, [(1, 0), (2, 0)]), (6, [(2, 1)]), (9, [])],
)
def test_records_that_earlier_batches_took_are_skipped_part_by_part(first, expected):
    reads = lane_reads(manifest_of([[3, 2, 4]]), "train", 0, epoch=0, first_record=first, seed=None)
    assert [(r.shard.part, r.skip) for r in reads] == expected


def test_part_order_and_record_order_follow_seed_epoch_and_lane():
    manifest = manifest_of([[5] * 12, [5] * 12])

    def order(seed: int, epoch: int, lane: int) -> list[tuple[int, int | None]]:
        reads = lane_reads(manifest, "train", lane, epoch=epoch, first_record=0, seed=seed)
        assert sorted(r.shard.part for r in reads) == list(range(12))
        return [(r.shard.part, r.shuffle_seed) for r in reads]

    assert order(1, 0, 0) == order(1, 0, 0)
    # 12! part orders: equal ones, or one equal shuffle seed, would be a fault and not chance
    for other in (order(2, 0, 0), order(1, 1, 0), order(1, 0, 1)):
        assert [part for part, _ in other] != [part for part, _ in order(1, 0, 0)]
        assert not {seed for _, seed in other} & {seed for _, seed in order(1, 0, 0)}


@pytest.mark.parametrize(
    ("rank", "world_size", "lanes"), [(0, 1, [0, 1, 2, 3, 4]), (1, 2, [1, 3]), (2, 3, [2]), (4, 7, [4]), (5, 7, [])]
)
def test_a_rank_reads_every_nth_lane(rank, world_size, lanes):
    assert list(RankShare(rank=rank, world_size=world_size).lanes(5)) == lanes


@pytest.mark.parametrize(
    ("step", "lanes"),
    [
        (0, [0, 0, 0, 2, 2, 2]),  # three of each of the rank's lanes
        (1, [0, 0, 2]),  # lane 0 has five records, lane 2 four
        (2, []),
    ],
)
def test_the_lanes_of_a_batch_follow_from_the_records_of_each_lane(step, lanes):
    counts = {0: 5, 1: 5, 2: 4}
    assert lanes_of_records(counts, 3, step, RankShare(rank=0, world_size=2)).tolist() == lanes


def test_shares_are_put_back_by_lane_and_stay_in_order_within_one():
    # rank 0 has lanes 0 and 2, rank 1 lanes 1 and 3
    lanes = np.array([0, 0, 2, 1, 1, 3])
    rows = np.array(["0a", "0b", "2a", "1a", "1b", "3a"])
    assert rows[one_process_order(lanes)].tolist() == ["0a", "0b", "1a", "1b", "2a", "3a"]


def test_more_ranks_than_lanes_are_told_with_what_to_do():
    manifest = manifest_of([[5], [4]])
    assert idle_ranks_warning(manifest, 2) == []
    (warning,) = idle_ranks_warning(manifest, 5)
    assert warning.startswith("5 ranks train, but the data set has 2 lanes: 3 of them have nothing to read. Start 2 ")


def with_blocks(manifest: DatasetManifest, block_records: int | None) -> DatasetManifest:
    split = dataclasses.replace(manifest.splits["train"], shuffle_block_records=block_records)
    return dataclasses.replace(manifest, splits={"train": split})


def blocks_of(manifest: DatasetManifest, lane: int, epoch: int = 0, first_record: int = 0) -> list[list[ShuffleBlock]]:
    reads = lane_reads(manifest, "train", lane, epoch=epoch, first_record=first_record, seed=1)
    return [list(read.blocks()) for read in reads]


def test_a_part_that_is_no_larger_than_a_block_is_shuffled_whole_as_before_there_were_blocks():
    parts = manifest_of([[10, 9]])
    before = blocks_of(parts, 0)
    assert blocks_of(with_blocks(parts, 10), 0) == before
    assert [[block.records for block in blocks] for blocks in before] in ([[10], [9]], [[9], [10]])
    (read, _) = lane_reads(parts, "train", 0, epoch=0, first_record=0, seed=1)
    assert before[0][0].seed == read.shuffle_seed


@pytest.mark.parametrize("records", [9, 10, 25, 81])
@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_the_blocks_of_a_part_hold_its_records_and_no_more_than_a_block_each(records, epoch):
    manifest = with_blocks(manifest_of([[records]] * 4), 8)
    for lane in range(4):
        ((first, *blocks),) = blocks_of(manifest, lane, epoch)
        assert 1 <= first.records <= 8
        assert all(block.records == 8 for block in blocks[:-1])
        assert sum(block.records for block in (first, *blocks)) == records
        assert len({block.seed for block in (first, *blocks)}) == 1 + len(blocks)


def test_lanes_come_to_the_ends_of_their_blocks_one_after_another():
    manifest = with_blocks(manifest_of([[1000]] * 4), 100)
    first = [blocks_of(manifest, lane)[0][0].records for lane in range(4)]
    assert first == [1, 26, 51, 76]
    later = [blocks_of(manifest, lane, epoch=1)[0][0].records for lane in range(4)]
    assert sorted(later) == [14, 39, 64, 89]  # 38 more, of 100: other records stand at the edges


def test_records_that_were_taken_are_left_out_block_by_block():
    manifest = with_blocks(manifest_of([[20]]), 8)
    assert [(block.records, block.skip) for block in blocks_of(manifest, 0)[0]] == [(1, 0), (8, 0), (8, 0), (3, 0)]
    late = blocks_of(manifest, 0, first_record=11)[0]
    assert [(block.records, block.skip) for block in late] == [(1, 1), (8, 8), (8, 2), (3, 0)]
    assert [b.seed for b in late] == [b.seed for b in blocks_of(manifest, 0)[0]]


def test_in_file_order_there_are_no_blocks():
    (read,) = lane_reads(with_blocks(manifest_of([[20]]), 8), "train", 0, epoch=0, first_record=0, seed=None)
    assert list(read.blocks()) == []


@pytest.mark.parametrize(
    ("file_bytes", "compression", "records"),
    [
        (999_999_999, "ZLIB", [40_000]),  # as the version shuffled that wrote it
        (1_000_000_000, "ZLIB", [6_400]),  # 256 MB of 4 times the bytes, in one lane: 0.064 of its records
        (1_000_000_000, "NONE", [25_600]),
    ],
)
def test_a_large_data_set_of_an_earlier_version_is_shuffled_in_blocks_too(file_bytes, compression, records):
    manifest = manifest_of([[100_000]] if file_bytes >= 10**9 else [[40_000]])
    split = manifest.splits["train"]
    shard = dataclasses.replace(split.shards[0], file_bytes=file_bytes)
    split = dataclasses.replace(split, shards=(shard,))
    manifest = dataclasses.replace(manifest, splits={"train": split}, compression=compression)
    assert {block.records for block in blocks_of(manifest, 0)[0][1:-1] or blocks_of(manifest, 0)[0]} == set(records)
