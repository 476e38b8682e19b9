"""Records read from a shard's bytes, and what is said about bytes that are none."""

import itertools
import struct
import zlib
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.input import shard_records as module
from esmm_dist.input.salvage import shard_bytes
from esmm_dist.input.shard_records import BrokenShardError, shard_records

RECORDS = [b"first", b"", bytes(range(256)) * 3, b"last"]


def read(path, data: bytes, *, compressed: bool = False) -> list[bytes]:
    path.write_bytes(data)
    return list(shard_records(str(path), compressed=compressed))


@pytest.fixture(params=[1, 7, 12, 13, 1 << 17])
def read_bytes(request, monkeypatch) -> int:
    """Bytes that are read from the file at a time."""
    size: int = request.param
    monkeypatch.setattr(module, "_READ_BYTES", size)
    return size


@pytest.mark.parametrize("compressed", [False, True])
def test_records_that_tensorflow_writes_are_read_however_the_file_is_cut(tmp_path, read_bytes, compressed):
    path = tmp_path / "shard"
    with tf.io.TFRecordWriter(str(path), "ZLIB" if compressed else "") as writer:
        for record in RECORDS:
            writer.write(record)
    assert list(shard_records(str(path), compressed=compressed)) == RECORDS


def test_a_stream_that_inflates_to_a_thousand_times_its_bytes_is_inflated_by_the_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_INFLATED_BYTES", 1000)
    assert read(tmp_path / "shard", shard_bytes([bytes(100_000)], compressed=True), compressed=True) == [bytes(100_000)]


def test_an_empty_file_has_no_records_and_an_empty_stream_neither(tmp_path):
    assert read(tmp_path / "shard", b"") == []
    assert read(tmp_path / "shard", zlib.compress(b""), compressed=True) == []


def flipped(place: int) -> bytes:
    data = bytearray(shard_bytes(RECORDS, compressed=False))
    data[place] ^= 0x10
    return bytes(data)


PLAIN, PRESSED = shard_bytes(RECORDS, compressed=False), shard_bytes(RECORDS, compressed=True)


@pytest.mark.parametrize(
    ("data", "compressed", "message"),
    [
        (flipped(0), False, "the length of a record has another checksum"),
        (flipped(9), False, "the length of a record has another checksum"),
        (flipped(12), False, "the data of a record has another checksum"),
        (flipped(17), False, "the data of a record has another checksum"),
        (PLAIN[:-1], False, "the file ends within a record"),
        (PLAIN + b"\0", False, "the file ends within a record"),
        (PRESSED[:-5], True, "the zlib stream ends too early"),
        (b"", True, "the zlib stream ends too early"),
        (PRESSED[:-1] + bytes([PRESSED[-1] ^ 1]), True, "the zlib stream breaks: .*"),
        (PRESSED[:20] + b"\xff" * 20, True, "the zlib stream breaks: .*"),
        (PLAIN, True, "the zlib stream breaks: .*"),
        (PRESSED + b"\0", True, "bytes follow the end of the zlib stream"),
        (zlib.compress(PLAIN[:-1]), True, "the file ends within a record"),
    ],
)
def test_what_is_wrong_with_a_shard_is_said(tmp_path, data, compressed, message):
    with pytest.raises(BrokenShardError, match=f"^{message}$"):
        read(tmp_path / "shard", data, compressed=compressed)


def test_records_before_the_damage_are_read(tmp_path):
    path = tmp_path / "shard"
    path.write_bytes(PLAIN[:-1])
    assert list(itertools.islice(shard_records(str(path), compressed=False), 3)) == RECORDS[:3]


@settings(max_examples=200)
@given(data=st.binary(max_size=300), compressed=st.booleans())
def test_any_bytes_are_refused(tmp_path_factory, data, compressed):
    path = tmp_path_factory.getbasetemp() / "any"
    for written in (struct.pack("<Q", 2**63) + data, b"\x01" + data):
        with pytest.raises(BrokenShardError):
            read(path, written, compressed=compressed)


def test_the_file_is_open_as_long_as_the_iterator(tmp_path):
    path = tmp_path / "shard"
    path.write_bytes(PLAIN)
    records = shard_records(str(path), compressed=False)
    next(records)
    names = [link.resolve().name for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert "shard" in names
    records.close()
    names = [link.resolve().name for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert "shard" not in names
