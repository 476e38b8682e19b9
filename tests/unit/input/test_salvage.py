"""Which records of a damaged shard are whole, and what is said about the first that is not."""

import dataclasses
import re
import struct
import zlib

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.input.salvage import Salvaged, placeholder, salvage, shard_bytes
from esmm_dist.schema.manifest import Shard
from tests.support.tiny_dataset import serialized, tiny_groups, tiny_schema

SCHEMA = tiny_schema()
GROUPS = tiny_groups(12)
RECORDS = tuple(serialized(group, SCHEMA) for group in GROUPS)
COUNTS = [len(group.impressions) for group in GROUPS]
SHARD = Shard(path="s", lane=0, part=0, records=12, impressions=sum(COUNTS), file_bytes=0, crc32c=0)


def offset_of(number: int) -> int:
    """Where a record's frame begins: 8 + 4 bytes, the data, 4 bytes."""
    return sum(16 + len(record) for record in RECORDS[:number])


def flipped(data: bytes, place: int) -> bytes:
    damaged = bytearray(data)
    damaged[place] ^= 0x10
    return bytes(damaged)


def salvaged(data: bytes, *, compressed: bool = False, shard: Shard = SHARD) -> Salvaged:
    return salvage(data, shard, SCHEMA, compressed=compressed)


@pytest.mark.parametrize("compressed", [False, True])
def test_tensorflow_reads_the_frames_that_are_written_and_none_is_damaged(tmp_path, compressed):
    data = shard_bytes(RECORDS, compressed=compressed)
    (tmp_path / "s").write_bytes(data)
    dataset = tf.data.TFRecordDataset(str(tmp_path / "s"), compression_type="ZLIB" if compressed else "")
    assert tuple(record.numpy() for record in dataset) == RECORDS
    assert salvaged(data, compressed=compressed) == Salvaged(records=RECORDS, impressions=sum(COUNTS), reason=None)


def test_a_record_whose_data_is_damaged_is_lost_alone():
    found = salvaged(flipped(shard_bytes(RECORDS, compressed=False), offset_of(5) + 12))
    assert found.records == (*RECORDS[:5], None, *RECORDS[6:])
    assert found.impressions == sum(COUNTS) - COUNTS[5]
    assert found.reason == "record 5: its data has another checksum"


@pytest.mark.parametrize("place", [0, 8])
def test_behind_a_damaged_length_all_records_are_lost(place):
    found = salvaged(flipped(shard_bytes(RECORDS, compressed=False), offset_of(5) + place))
    assert found.records == (*RECORDS[:5], *[None] * 7)
    assert found.reason == "record 5: its length has another checksum"


@pytest.mark.parametrize("bytes_left", [3, 20])  # within the header, and within the data
def test_a_file_that_ends_within_a_record_says_so(bytes_left):
    found = salvaged(shard_bytes(RECORDS, compressed=False)[: offset_of(5) + bytes_left])
    assert found.records == (*RECORDS[:5], *[None] * 7)
    assert found.reason == "record 5: the file ends within it"


def test_where_a_zlib_stream_breaks_the_records_before_are_kept():
    plain = shard_bytes(RECORDS, compressed=False)
    first = zlib.compressobj()
    head = first.compress(plain[: offset_of(7)]) + first.flush(zlib.Z_FULL_FLUSH)
    found = salvaged(head + b"\xff" * 50, compressed=True)  # block type 3 does not exist
    assert found.records == (*RECORDS[:7], *[None] * 5)
    assert found.reason is not None
    assert found.reason.startswith("record 7: the zlib stream breaks (Error -3")
    ended = salvaged(head, compressed=True)
    assert (ended.records, ended.reason) == (found.records, "record 7: the zlib stream ends too early")


@pytest.mark.parametrize("records", [RECORDS[:11], (*RECORDS, RECORDS[0])])
def test_another_number_of_whole_records_is_not_called_damage(records):
    found = salvaged(shard_bytes(records, compressed=False))
    assert found.reason is None
    assert None in found.records


def changed(**features: list) -> bytes:
    """Return the first record with other features."""
    example = tf.train.Example.FromString(RECORDS[0])
    for key, values in features.items():
        feature = example.features.feature[key]
        feature.Clear()
        if values and isinstance(values[0], float):
            feature.float_list.value.extend(values)
        else:
            feature.int64_list.value.extend(values)
    data: bytes = example.SerializeToString()
    return data


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (b"\xff no message", "it is no tf.train.Example"),
        (changed(user_lengths=[1]), "user_lengths has 1 values instead of 2"),
        (changed(user_lengths=[0, 0]), r"user_ids has \d values instead of 0"),
        (changed(user_weights=[0.5] * 9), "user_weights has 9 values instead of"),
        (changed(user_weights=[1]), "user_weights is no float_list"),
        (changed(user_ids=[1.0]), "user_ids is no int64_list"),
        (changed(sample_ids=[]), "impression_lengths has"),
        (changed(labels=[1]), "labels has 1 values instead of"),
        (changed(labels=[2] * 2 * COUNTS[0]), "a label is neither 0 nor 1"),
        (changed(user_lengths=[-1, sum(map(len, GROUPS[0].fields)) + 1]), "a length is negative"),
    ],
)
def test_a_record_that_does_not_fit_the_schema_is_damaged_though_its_frame_is_whole(record, problem):
    found = salvaged(shard_bytes((record, *RECORDS[1:]), compressed=False))
    assert found.records == (None, *RECORDS[1:])
    assert found.reason is not None
    assert re.match(f"record 0: {problem}", found.reason)


def test_a_placeholder_is_a_record_without_impressions():
    found = salvaged(shard_bytes([placeholder(SCHEMA)] * 12, compressed=True), compressed=True)
    assert None not in found.records
    assert found.impressions == 0


@settings(max_examples=200)
@given(st.binary(max_size=300), st.booleans(), st.integers(1, 3))
def test_any_bytes_give_as_many_records_as_the_manifest_says(data, compressed, records):
    shard = dataclasses.replace(SHARD, records=records)
    for bytes_ in (data, struct.pack("<Q", 2**63) + data):
        assert salvaged(bytes_, compressed=compressed, shard=shard).records == (None,) * records
