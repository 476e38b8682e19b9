"""Batches read from files: their order, completeness, and what a damaged file says."""

import dataclasses
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.config import InputConfig
from esmm_dist.input.order import RankShare, lane_reads, one_process_order
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.input.record_parsing import parse_spec
from esmm_dist.input.shard_guard import check_shard_files
from esmm_dist.input.shard_records import shard_records
from esmm_dist.kernels.shuffled_order import shuffled_order
from esmm_dist.schema.fields import Field
from esmm_dist.schema.manifest import DatasetManifest
from tests.support.reference import tensorflow_reading
from tests.support.tiny_dataset import Group, Impression, tiny_groups, tiny_schema, write_dataset

GROUPS = tiny_groups(50)  # 4 lanes of 13, 13, 12, 12 records
LANES = 4


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return folder, write_dataset(folder, {"train": GROUPS, "test": GROUPS[:5]})


def reader(data, batch: int = 8, split: str = "train") -> BatchReader:
    folder, manifest = data
    return BatchReader(folder, manifest, split, InputConfig(global_batch_records=batch))


def samples(batches: list[GroupedBatch]) -> list[list[int]]:
    return [batch.sample_ids.tolist() for batch in batches]


def assert_equal_batches(found: GroupedBatch, expected: GroupedBatch) -> None:
    for field in dataclasses.fields(GroupedBatch):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name), err_msg=field.name)


def expected_batch(groups: list[Group]) -> GroupedBatch:
    """Make by plain Python the batch that holds these groups."""
    users = [values for g in groups for values in g.fields]
    impressions = [i for g in groups for i in g.impressions]
    items = [values for i in impressions for values in i.fields]
    return GroupedBatch(
        user_ids=np.array([id_ for values in users for id_, _ in values]),
        user_lengths=np.array([len(values) for values in users]),
        user_weights=np.array([w for values in users for _, w in values], dtype=np.float32),
        impression_ids=np.array([id_ for values in items for id_, _ in values]),
        impression_lengths=np.array([len(values) for values in items]),
        impression_weights=None,
        impressions_per_group=np.array([len(g.impressions) for g in groups]),
        sample_ids=np.array([i.sample_id for i in impressions]),
        labels=np.array([i.labels for i in impressions]),
    )


@pytest.fixture
def process_seed() -> Iterator[None]:
    """Another seed of the process than it has now, as a user's network or Keras may set it."""
    before = context.global_seed()
    tf.random.set_seed(5)
    yield
    context.set_global_seed(before)


def test_the_order_is_that_of_data_and_seed_whatever_seed_the_process_has(data, request):
    expected = samples(list(reader(data).epoch(0, seed=3)))
    assert expected != samples(list(reader(data).epoch(0, seed=4)))
    request.getfixturevalue("process_seed")
    assert samples(list(reader(data).epoch(0, seed=3))) == expected
    tf.random.set_seed(6)
    assert samples(list(reader(data).epoch(0, seed=3))) == expected


# 4 lanes of 13, 13, 12, 12 records in 3 parts of 4 or 5
@pytest.mark.parametrize("compression", ["ZLIB", "NONE"])
@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("seed", [None, 0, 3])
def test_batches_are_those_that_tensorflow_reads(tmp_path, compression, ranks, seed):
    manifest = write_dataset(tmp_path, {"train": GROUPS}, parts=3, compression=compression)
    for rank in range(ranks):
        share = RankShare(rank=rank, world_size=ranks)
        own = BatchReader(tmp_path, manifest, "train", InputConfig(global_batch_records=12), share=share)
        for epoch in range(3):
            found = [batch for batch in own.epoch(epoch, seed=seed) if batch.num_groups]
            expected = list(tensorflow_reading.batches(own, epoch=epoch, seed=seed))
            assert len(found) == len(expected) >= 4
            for one, other in zip(found, expected, strict=True):
                assert_equal_batches(one, other)


@pytest.mark.parametrize("compression", ["ZLIB", "NONE"])
def test_in_file_order_a_batch_is_the_next_records_of_each_lane(tmp_path, compression):
    manifest = write_dataset(tmp_path, {"train": GROUPS}, compression=compression)
    batches = list(reader((tmp_path, manifest)).epoch(0, seed=None))
    lanes = [GROUPS[lane::LANES] for lane in range(LANES)]
    assert len(batches) == 7  # 13 records of the longest lane, 2 a batch
    for number, batch in enumerate(batches):
        assert_equal_batches(batch, expected_batch([g for lane in lanes for g in lane[2 * number : 2 * number + 2]]))
    assert batches[-1].num_groups == 2  # the two lanes that are one record longer


def test_group_and_impression_counts_are_those_of_the_arrays(data):
    batch = next(reader(data).epoch(0, seed=None))
    assert batch.num_groups == 8
    assert batch.num_impressions == int(batch.impressions_per_group.sum()) == len(batch.labels)


@pytest.mark.parametrize("seed", [None, 3])
def test_every_record_comes_exactly_once_an_epoch(data, seed):
    found = [i for batch in samples(list(reader(data).epoch(2, seed=seed))) for i in batch]
    assert sorted(found) == [i.sample_id for g in GROUPS for i in g.impressions]


def test_epochs_and_seeds_reshuffle_and_the_same_ones_do_not(data):
    def order(epoch: int, seed: int) -> list[list[int]]:
        return samples(list(reader(data).epoch(epoch, seed=seed)))

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(1, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != samples(list(reader(data).epoch(0, seed=None)))


def test_records_are_shuffled_within_their_part(data):
    # each part has 6 or 7 records, so some record must leave its place in one of 5 epochs
    part = [g.impressions[0].sample_id for g in GROUPS[0::LANES][:7]]
    orders = set()
    for epoch in range(5):
        found = [i for batch in samples(list(reader(data, 4).epoch(epoch, seed=1))) for i in batch]
        orders.add(tuple(i for i in found if i in part))
    assert len(orders) > 2


@pytest.mark.parametrize("seed", [None, 3])
def test_starting_at_a_later_step_gives_exactly_the_batches_from_there_on(data, seed):
    whole = list(reader(data).epoch(1, seed=seed))
    for first in (1, 4):
        late = list(reader(data).epoch(1, first_step=first, seed=seed))
        assert len(late) == len(whole) - first
        for found, expected in zip(late, whole[first:], strict=True):
            assert_equal_batches(found, expected)


def open_shards() -> list[str]:
    links = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    return [link for link in links if link.endswith(".tfrecord")]


def test_no_file_is_open_after_an_epoch_is_left(data):
    batches = reader(data).epoch(0, seed=None)
    next(batches)
    assert len(open_shards()) == LANES
    batches.close()
    assert open_shards() == []


def test_no_file_is_open_after_an_error_that_is_kept(tmp_path):
    manifest = write_dataset(tmp_path, {"train": GROUPS})
    opened = reader((tmp_path, manifest))
    (tmp_path / "train/lane-003-part-000.tfrecord").unlink()
    with pytest.raises(InputDataError, match="is missing") as kept:
        next(opened.epoch(0, seed=None))
    assert kept.tb is not None  # its frames hold the lanes that were open
    assert open_shards() == []


def test_starting_after_the_last_step_gives_nothing(data):
    assert list(reader(data).epoch(0, first_step=7, seed=1)) == []


def shares_of_ranks(data, ranks: int, batch: int, *, first_step: int = 0, seed: int | None = 5):
    """Return each rank's batches of epoch 1, with the lanes of each one's records."""
    folder, manifest = data
    shares = []
    for rank in range(ranks):
        config = InputConfig(global_batch_records=batch)
        own = BatchReader(folder, manifest, "train", config, share=RankShare(rank=rank, world_size=ranks))
        batches = own.epoch(1, first_step=first_step, seed=seed)
        shares.append([(b, own.record_lanes(step)) for step, b in enumerate(batches, start=first_step)])
    return shares


# 4 lanes do not divide among 3 ranks, and of 6 ranks two have no lane at all. Two lanes have 13 records, two have 12:
# with 1, 2 or 3 records a lane the last batch has records of two lanes only, with 13 there is one batch.
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("batch", [4, 8, 12, 52])
def test_the_shares_of_n_ranks_put_in_order_are_the_batches_of_one_rank(data, ranks, batch):
    whole = list(reader(data, batch).epoch(1, seed=5))
    shares = shares_of_ranks(data, ranks, batch)
    assert [len(share) for share in shares] == [len(whole)] * ranks
    for expected, *parts in zip(whole, *shares, strict=True):
        for part, lanes in parts:
            assert len(lanes) == part.num_groups
        lanes = np.concatenate([np.repeat(lanes, part.impressions_per_group) for part, lanes in parts])
        order = one_process_order(lanes)
        for name in ("sample_ids", "labels"):
            gathered = np.concatenate([getattr(part, name) for part, _ in parts])
            np.testing.assert_array_equal(gathered[order], getattr(expected, name))


def test_a_rank_starts_at_a_later_step_as_one_process_does(data):
    for late, whole in zip(
        shares_of_ranks(data, 3, 8, first_step=4), shares_of_ranks(data, 3, 8, first_step=0), strict=True
    ):
        assert len(late) == 3
        for (found, found_lanes), (expected, expected_lanes) in zip(late, whole[4:], strict=True):
            assert_equal_batches(found, expected)
            np.testing.assert_array_equal(found_lanes, expected_lanes)


def test_a_share_without_records_is_an_empty_batch_of_the_same_kind(data):
    # lanes 2 and 3 have 12 records, so a batch of one record a lane leaves them nothing in step 13
    last, lanes = shares_of_ranks(data, 4, 4)[3][12]
    assert (last.num_groups, last.num_impressions, len(lanes)) == (0, 0, 0)
    full = next(reader(data).epoch(0, seed=None))
    for field in dataclasses.fields(GroupedBatch):
        found, like = getattr(last, field.name), getattr(full, field.name)
        if like is None:
            assert found is None
        else:
            assert (found.dtype, found.shape[1:]) == (like.dtype, like.shape[1:])


def test_a_group_of_any_size_is_one_record(tmp_path):
    groups = tiny_groups(3)
    many = [Impression(sample_id=900 + i, labels=(1, 0), fields=[[(3000 + i, 1.0)], []]) for i in range(100)]
    groups[1] = Group(fields=[[], []], impressions=many)
    manifest = write_dataset(tmp_path, {"train": groups}, lanes=1, parts=1)
    (batch,) = reader((tmp_path, manifest), 3).epoch(0, seed=None)
    assert_equal_batches(batch, expected_batch(groups))


def test_weights_are_read_only_where_the_schema_has_them():
    weighted = Field(name="w", owner="item", multi_hot=True, weighted=True)
    spec = parse_spec(tiny_schema())
    assert "user_weights" in spec
    assert "impression_weights" not in spec
    assert "impression_weights" in parse_spec(tiny_schema(fields=(weighted,)))


def test_an_unknown_split_is_refused_with_those_there_are(data):
    with pytest.raises(InputDataError, match="has no split 'valid'. It has: test, train"):
        reader(data, split="valid")


def test_a_batch_that_does_not_fit_the_lanes_is_refused(data):
    with pytest.raises(ConfigError, match="global_batch_records is 6, but the data set has 4 lanes"):
        reader(data, 6)


def test_lanes_of_unequal_length_are_refused(tmp_path):
    manifest = write_dataset(tmp_path, {"train": GROUPS})
    split = manifest.splits["train"]
    fewer = dataclasses.replace(manifest, splits={"train": dataclasses.replace(split, shards=split.shards[1:])})
    with pytest.raises(InputDataError, match="lanes must be equal to within one"):
        reader((tmp_path, fewer))


def test_a_missing_shard_is_named(tmp_path):
    manifest = write_dataset(tmp_path, {"train": GROUPS})
    (tmp_path / "train/lane-002-part-001.tfrecord").unlink()
    with pytest.raises(InputDataError, match=r"lane-002-part-001.tfrecord is missing, but the manifest lists it"):
        check_shard_files(tmp_path, manifest.splits["train"])


def test_a_shard_of_another_size_is_named_with_both_sizes(tmp_path):
    manifest = write_dataset(tmp_path, {"train": GROUPS})
    path = tmp_path / "train/lane-001-part-000.tfrecord"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputDataError, match=f"{path} has {size - 1} bytes, the manifest says {size}"):
        reader((tmp_path, manifest))


@pytest.mark.parametrize("compression", ["ZLIB", "NONE"])
def test_a_damaged_shard_is_named_when_it_is_read(tmp_path, compression):
    manifest = write_dataset(tmp_path, {"train": GROUPS}, compression=compression)
    path = tmp_path / "train/lane-003-part-001.tfrecord"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    message = rf"split 'train', epoch 0: a shard cannot be read: {path} has another CRC-32C .* Run the same esmm pre"
    with pytest.raises(InputDataError, match=message):
        list(reader((tmp_path, manifest)).epoch(0, seed=1))


def test_a_shard_that_vanishes_while_it_is_read_is_named(tmp_path):
    manifest = write_dataset(tmp_path, {"train": GROUPS})
    opened = reader((tmp_path, manifest))
    path = tmp_path / "train/lane-000-part-000.tfrecord"
    path.unlink()
    with pytest.raises(InputDataError, match=rf"a shard cannot be read: {path} is missing, but"):
        list(opened.epoch(0, seed=None))


BLOCK = 3


def in_blocks(folder: Path, **settings: Any) -> DatasetManifest:
    """Write a data set whose parts have several shuffle blocks."""
    manifest = write_dataset(folder, {"train": GROUPS}, **settings)
    split = dataclasses.replace(manifest.splits["train"], shuffle_block_records=BLOCK)
    return dataclasses.replace(manifest, splits={"train": split})


@pytest.mark.parametrize("records", [100, 1000])
def test_the_bytes_that_wait_for_their_turn_do_not_grow_with_the_shards(tmp_path, monkeypatch, records):
    manifest = write_dataset(tmp_path, {"train": tiny_groups(records)}, parts=1)
    split = dataclasses.replace(manifest.splits["train"], shuffle_block_records=10)
    opened = reader((tmp_path, dataclasses.replace(manifest, splits={"train": split})), batch=4)
    waiting, held, largest = 0, [], 0

    def counted(*arguments: Any, **settings: Any) -> Iterator[bytes]:
        nonlocal waiting, largest
        for record in shard_records(*arguments, **settings):
            waiting += len(record)
            largest = max(largest, len(record))
            yield record

    def batch(self: BatchReader, taken: list[bytes]) -> GroupedBatch:
        nonlocal waiting
        waiting -= sum(map(len, taken))
        held.append(waiting)
        return self._decoder.batch(taken)

    monkeypatch.setattr("esmm_dist.input.pipeline.shard_records", counted)
    monkeypatch.setattr(BatchReader, "_batch", batch)
    assert len(list(opened.epoch(0, seed=1))) == records / LANES
    # After a batch of one record a lane: 0 to 9 of a block of 10, evenly spread over 4 lanes, 4 * 4.5 on average
    assert 0 < max(held) <= 22 * largest
    assert held[-1] == 0


@pytest.mark.parametrize("compression", ["ZLIB", "NONE"])
@pytest.mark.parametrize("parts", [1, 2])
def test_blocks_are_shuffled_in_the_order_of_the_file(tmp_path, compression, parts):
    manifest = in_blocks(tmp_path, parts=parts, compression=compression)
    opened = reader((tmp_path, manifest), batch=LANES)
    of_lane: list[list[int]] = [[] for _ in range(LANES)]
    for batch in opened.epoch(0, seed=2):
        begins = np.cumsum(batch.impressions_per_group) - batch.impressions_per_group
        for lane, sample in zip(range(LANES), batch.sample_ids[begins].tolist(), strict=False):
            of_lane[lane].append(sample)
    moved = 0
    for lane in range(LANES):
        mine = [group.impressions[0].sample_id for group in GROUPS[lane::LANES]]
        found = iter(of_lane[lane])
        for read in lane_reads(manifest, "train", lane, epoch=0, first_record=0, seed=2):
            pieces = [piece.tolist() for piece in np.array_split(np.array(mine), parts)]
            place = 0
            for block in read.blocks():
                expected = pieces[read.shard.part][place : place + block.records]
                order = list(itertools.islice(found, block.records))
                assert order == [expected[i] for i in shuffled_order(block.seed, block.records).tolist()]
                moved += order != expected
                place += block.records
    assert moved > LANES


@pytest.mark.parametrize("ranks", [1, 3])
def test_with_blocks_a_rank_that_starts_at_any_step_reads_its_share_of_the_same_batches(tmp_path, ranks):
    manifest = in_blocks(tmp_path)
    whole = list(reader((tmp_path, manifest), 4).epoch(1, seed=5))
    assert sorted(i for batch in samples(whole) for i in batch) == [i.sample_id for g in GROUPS for i in g.impressions]
    for first in range(len(whole)):
        shares = shares_of_ranks((tmp_path, manifest), ranks, 4, first_step=first)
        for expected, *parts in zip(whole[first:], *shares, strict=True):
            lanes = np.concatenate([np.repeat(lanes, part.impressions_per_group) for part, lanes in parts])
            found = np.concatenate([part.sample_ids for part, _ in parts])[one_process_order(lanes)]
            np.testing.assert_array_equal(found, expected.sample_ids)
