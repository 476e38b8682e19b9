"""Data sets with damage: what is skipped is counted exactly, and everything else keeps its place."""

import dataclasses
import gc
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.errors import InputDataError
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.config import InputConfig
from esmm_dist.input.order import RankShare
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.input.shard_guard import ShardGuard, check_shard_files
from esmm_dist.input.skipped import SkippedShard, gather_skipped, skipped_lines
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.manifest import DatasetManifest
from tests.support.damage import flip_bit, remove, truncate
from tests.support.tiny_dataset import serialized, tiny_groups, tiny_schema, write_dataset

GROUPS = tiny_groups(50)  # 4 lanes of 13, 13, 12, 12 records, in 2 parts of 6 or 7
LANES = 4
STEPS = 7
"""Two records of each lane a batch."""
HURT = "train/lane-001-part-000.tfrecord"
IN_HURT = GROUPS[1::LANES][:7]


def samples_of(groups) -> set[int]:
    return {i.sample_id for g in groups for i in g.impressions}


def write_records(path: Path, records: list[bytes], compression: str = "ZLIB") -> None:
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)


def rewrite(path: Path) -> None:
    """Write whole records with other sample ids, as many bytes as before."""
    groups = [
        dataclasses.replace(g, impressions=[dataclasses.replace(i, sample_id=i.sample_id ^ 1) for i in g.impressions])
        for g in IN_HURT
    ]
    size = path.stat().st_size
    write_records(path, [serialized(group, tiny_schema()) for group in groups], "")
    assert path.stat().st_size == size


def flip_in_data(path: Path) -> None:
    flip_bit(path, 20 / path.stat().st_size)  # behind the 12 bytes of the first record's header


def flip_in_length(path: Path) -> None:
    flip_bit(path, 0)


def flip_in_zlib_trailer(path: Path) -> None:
    flip_bit(path, 1 - 1 / path.stat().st_size)


def unreadable(path: Path) -> None:
    path.unlink()
    path.mkdir()


# damage, compression, records lost (None: some, counted by what is left)
DAMAGES = [
    (remove, "ZLIB", 7),
    (truncate, "ZLIB", 7),
    (unreadable, "ZLIB", 7),
    (flip_bit, "ZLIB", None),
    (flip_in_zlib_trailer, "ZLIB", 7),  # all records are whole, and so nothing shows where the damage is
    (flip_in_data, "NONE", 1),
    (flip_in_length, "NONE", 7),
    (rewrite, "NONE", 7),
]


def made(folder: Path, compression: str = "ZLIB") -> DatasetManifest:
    return write_dataset(folder, {"train": GROUPS}, compression=compression)  # type: ignore[arg-type]


def reader(folder: Path, manifest: DatasetManifest, rank: int = 0, ranks: int = 1, on_bad="skip") -> BatchReader:
    config = InputConfig(global_batch_records=8, on_bad_record=on_bad)
    return BatchReader(folder, manifest, "train", config, share=RankShare(rank=rank, world_size=ranks))


def without(batch: GroupedBatch, lost: set[int]) -> list[tuple]:
    """Return the impressions of a batch that are not lost, each with its group's place and user."""
    group = np.repeat(np.arange(batch.num_groups), batch.impressions_per_group)
    return [
        (int(sample), int(place), labels.tolist())
        for sample, place, labels in zip(batch.sample_ids, group, batch.labels, strict=True)
        if int(sample) not in lost
    ]


@pytest.mark.parametrize(("damage", "compression", "records"), DAMAGES)
@pytest.mark.parametrize(("seed", "block"), [(None, None), (3, None), (3, 2)])
def test_what_can_be_read_keeps_its_batch_and_place_and_the_rest_is_counted(
    tmp_path, damage, compression, records, seed, block
):
    manifest = made(tmp_path, compression)
    split = dataclasses.replace(manifest.splits["train"], shuffle_block_records=block)
    manifest = dataclasses.replace(manifest, splits={"train": split})
    whole = list(reader(tmp_path, manifest).epoch(0, seed=seed))
    damage(tmp_path / HURT)
    hurt = reader(tmp_path, manifest)
    found = list(hurt.epoch(0, seed=seed))
    lost = samples_of(GROUPS) - {int(s) for batch in found for s in batch.sample_ids}
    assert lost
    assert lost <= samples_of(IN_HURT)
    assert [batch.num_groups for batch in found] == [batch.num_groups for batch in whole]
    for batch, expected in zip(found, whole, strict=True):
        assert without(batch, set()) == without(expected, lost)
        assert len(batch.user_lengths) == 2 * batch.num_groups
    (skipped,) = hurt.skipped
    lost_groups = [g for g in IN_HURT if samples_of([g]) <= lost]
    assert (skipped.path, skipped.records, skipped.impressions) == (HURT, len(lost_groups), len(lost))
    assert records in (None, skipped.records)


@pytest.mark.parametrize("damage", [flip_bit, remove])
def test_ranks_and_later_starts_find_the_same_and_each_shard_counts_once(tmp_path, damage):
    manifest = made(tmp_path)
    damage(tmp_path / HURT)
    damage(tmp_path / "train/lane-002-part-001.tfrecord")
    alone = reader(tmp_path, manifest)
    epochs = [list(alone.epoch(epoch, seed=5)) for epoch in (0, 1)]
    shares = [reader(tmp_path, manifest, rank, 3) for rank in range(3)]
    for epoch, whole in enumerate(epochs):
        parts = [list(share.epoch(epoch, seed=5)) for share in shares]
        for step, expected in enumerate(whole):
            lanes = np.concatenate([share.record_lanes(step) for share in shares])
            counts = np.concatenate([part[step].impressions_per_group for part in parts])
            samples = np.concatenate([part[step].sample_ids for part in parts])
            order = np.argsort(np.repeat(lanes, counts), kind="stable")
            assert samples[order].tolist() == expected.sample_ids.tolist()
        late = list(reader(tmp_path, manifest).epoch(epoch, first_step=3, seed=5))
        assert [batch.sample_ids.tolist() for batch in late] == [batch.sample_ids.tolist() for batch in whole[3:]]
    assert len(alone.skipped) == 2
    of_ranks = [each for share in shares for each in share.skipped]
    assert sorted(of_ranks, key=str) == sorted(alone.skipped, key=str)


@pytest.mark.parametrize(("damage", "compression", "records"), DAMAGES[3:])
def test_bytes_that_changed_are_refused_by_name_even_where_they_can_be_read(tmp_path, damage, compression, records):
    manifest = made(tmp_path, compression)
    damage(tmp_path / HURT)
    message = f"split 'train', epoch 0: a shard cannot be read: {tmp_path}/{HURT} has another CRC-32C than .* skip"
    with pytest.raises(InputDataError, match=message):
        list(reader(tmp_path, manifest, on_bad="fail").epoch(0, seed=1))


def with_record(folder: Path, record: bytes) -> DatasetManifest:
    """Put a record into the place of the hurt shard's record 2, with size and checksum in the manifest that fit."""
    records = [serialized(group, tiny_schema()) for group in IN_HURT]
    return with_records(folder, made(folder), [*records[:2], record, *records[3:]])


def with_records(folder: Path, manifest: DatasetManifest, records: list[bytes]) -> DatasetManifest:
    """Write the hurt shard anew; return the manifest with the size and checksum that fit."""
    write_records(folder / HURT, records)
    size, crc = (folder / HURT).stat().st_size, file_crc32c(folder / HURT)
    split = manifest.splits["train"]
    shards = tuple(dataclasses.replace(s, file_bytes=size, crc32c=crc) if s.path == HURT else s for s in split.shards)
    return dataclasses.replace(manifest, splits={"train": dataclasses.replace(split, shards=shards)})


@pytest.mark.parametrize("kept", [slice(0, 6), slice(0, 8)])  # of 7 records in the manifest
def test_of_a_shard_with_another_number_of_whole_records_none_is_used(tmp_path, kept):
    manifest = made(tmp_path)
    groups = [*IN_HURT, GROUPS[0]][kept]
    write_records(tmp_path / HURT, [serialized(group, tiny_schema()) for group in groups])
    split = manifest.splits["train"]
    size = (tmp_path / HURT).stat().st_size  # by chance the same: only the checksum differs
    shards = tuple(dataclasses.replace(s, file_bytes=size) if s.path == HURT else s for s in split.shards)
    manifest = dataclasses.replace(manifest, splits={"train": dataclasses.replace(split, shards=shards)})
    hurt = reader(tmp_path, manifest)
    found = {int(s) for batch in hurt.epoch(0, seed=1) for s in batch.sample_ids}
    assert found == samples_of(GROUPS) - samples_of(IN_HURT)
    assert [(each.records, each.impressions) for each in hurt.skipped] == [(7, len(samples_of(IN_HURT)))]


@pytest.mark.parametrize("kept", [slice(0, 6), slice(0, 8)])  # of 7 records in the manifest
@pytest.mark.parametrize("seed", [None, 1])
def test_a_manifest_that_counts_other_records_than_a_shard_has_is_refused(tmp_path, kept, seed):
    manifest = made(tmp_path)
    records = [serialized(group, tiny_schema()) for group in [*IN_HURT, GROUPS[0]][kept]]
    message = (
        f"a shard cannot be read: {tmp_path}/{HURT} (record 6: |)it has another number of records than the manifest"
    )
    with pytest.raises(InputDataError, match=message):
        list(reader(tmp_path, with_records(tmp_path, manifest, records), on_bad="fail").epoch(0, seed=seed))


def a_label_short() -> bytes:
    example = tf.train.Example.FromString(serialized(IN_HURT[2], tiny_schema()))
    example.features.feature["labels"].int64_list.value.pop()
    data: bytes = example.SerializeToString()
    return data


def a_field_too_many() -> bytes:
    example = tf.train.Example.FromString(serialized(IN_HURT[2], tiny_schema()))
    example.features.feature["user_lengths"].int64_list.value.append(0)
    data: bytes = example.SerializeToString()
    return data


def a_weight_short() -> bytes:
    example = tf.train.Example.FromString(serialized(IN_HURT[2], tiny_schema()))
    example.features.feature["user_weights"].float_list.value.append(1.0)
    data: bytes = example.SerializeToString()
    return data


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (b"\xff\xff no message", "it is no tf.train.Example"),
        (a_label_short(), r"labels has \d values instead of \d"),
        (a_field_too_many(), "user_lengths has 3 values instead of 2"),
        (a_weight_short(), r"user_weights has \d values instead of \d"),
    ],
)
def test_a_record_that_was_written_wrong_is_named_or_skipped_alone(tmp_path, record, problem):
    manifest = with_record(tmp_path, record)
    with pytest.raises(InputDataError, match=f"a shard cannot be read: {tmp_path}/{HURT} record 2: {problem}"):
        list(reader(tmp_path, manifest, on_bad="fail").epoch(0, seed=1))
    hurt = reader(tmp_path, manifest)
    found = {int(s) for batch in hurt.epoch(0, seed=1) for s in batch.sample_ids}
    assert samples_of(GROUPS) - found == samples_of(IN_HURT[2:3])
    (skipped,) = hurt.skipped
    assert (skipped.records, skipped.impressions) == (1, len(IN_HURT[2].impressions))


def test_a_shard_that_goes_while_others_are_read_is_skipped_when_it_is_due(tmp_path):
    groups = tiny_groups(160)  # lanes of 40 records: the second part is due at step 10, and looked at some steps before
    manifest = write_dataset(tmp_path, {"train": groups})
    hurt = reader(tmp_path, manifest)
    batches = hurt.epoch(0, seed=None)
    found = [next(batches)]
    assert hurt.skipped == []
    for part in sorted((tmp_path / "train").glob("*part-001*")):
        remove(part)
    found += batches
    assert [each.records for each in hurt.skipped] == [20] * LANES
    kept = samples_of(group for lane in range(LANES) for group in groups[lane::LANES][:20])
    assert {int(s) for batch in found for s in batch.sample_ids} == kept
    assert [batch.num_groups for batch in found] == [8] * 20


@pytest.mark.parametrize("damage", [flip_bit, remove])
def test_a_shard_damaged_after_it_was_checked_is_found_when_reading_fails(tmp_path, damage):
    manifest = made(tmp_path)
    shards = manifest.splits["train"].shards
    guards = [ShardGuard(tmp_path, manifest.schema, "ZLIB", on_bad) for on_bad in ("skip", "fail")]
    assert [guard.check(shards) for guard in guards] == [False, False]
    damage(tmp_path / HURT)
    assert not guards[0].check(shards)
    assert guards[0].examine(shards)
    assert [each.path for each in guards[0].skipped] == [HURT]
    assert not guards[0].examine(shards)  # nothing new: the second time it is for good
    with pytest.raises(InputDataError, match=HURT):
        guards[1].examine(shards)


def test_a_data_set_without_any_shard_is_refused_even_if_damage_is_skipped(tmp_path):
    manifest = made(tmp_path)
    for shard in manifest.splits["train"].shards:
        remove(tmp_path / shard.path)
    with pytest.raises(InputDataError, match=r"All 8 shards cannot be read, and nothing is left .* is missing, but"):
        reader(tmp_path, manifest)


def test_several_missing_shards_are_counted_in_the_error(tmp_path):
    manifest = made(tmp_path)
    remove(tmp_path / HURT)
    truncate(tmp_path / "train/lane-003-part-001.tfrecord")
    with pytest.raises(
        InputDataError, match=f"{HURT} is missing.*1 other shards cannot be read either.*-on-bad-record"
    ):
        check_shard_files(tmp_path, manifest.splits["train"])


def test_no_descriptor_is_left_by_a_reader_that_is_gone(tmp_path):
    manifest = made(tmp_path)
    flip_bit(tmp_path / HURT)

    def open_files() -> set[str]:
        links = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
        return {os.readlink(link) for link in links if link.is_symlink() and "memfd:shard" in os.readlink(link)}

    hurt = reader(tmp_path, manifest)
    list(hurt.epoch(0, seed=1))
    assert open_files()
    del hurt
    gc.collect()
    assert open_files() == set()


def skipped_shard(number: int) -> SkippedShard:
    return SkippedShard(path=f"train/{number}", records=number, impressions=2 * number, reason="is missing")


def test_what_all_ranks_skipped_is_ordered_by_path():
    class Another(SoloWorld):
        def gather(self, rows):
            line = json.dumps(dataclasses.asdict(skipped_shard(1))).encode() + b"\n"
            return np.concatenate([rows, np.frombuffer(line, np.uint8).reshape(-1, 1)])

    assert gather_skipped(Another(), [skipped_shard(2)]) == [skipped_shard(1), skipped_shard(2)]
    assert gather_skipped(SoloWorld(), []) == []


def test_the_report_counts_all_and_names_the_first_shards():
    assert skipped_lines([]) == []
    assert skipped_lines([skipped_shard(1)])[0] == "Skipped 1 records with 2 impressions of 1 damaged shard:"
    lines = skipped_lines([skipped_shard(number) for number in range(1, 8)])
    assert lines[0] == "Skipped 28 records with 56 impressions of 7 damaged shards:"
    assert lines[1] == "train/1: 1 records, 2 impressions (is missing)"
    assert len(lines) == 7
    assert lines[-1] == "... and 2 shards more"
