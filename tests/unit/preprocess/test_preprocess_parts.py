"""The parts of preprocess one by one: chunks, blocks, ragged rows, messages, zlib pieces, plans, settings."""

import io
import itertools
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import preprocess.read.chunks
from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.schema import load_schema
from preprocess.config import PreprocessConfig
from preprocess.join.groups import num_ranges, range_of
from preprocess.join.vocabulary import MergeJob, write_vocabulary
from preprocess.read.chunks import chunk_size, num_chunks, read_chunk, split_lines, stream_chunks
from preprocess.read.feature_rows import FeatureEntries, FeatureRows, ragged_index, splits_of
from preprocess.read.inputs import find_inputs
from preprocess.work.blocks import Column, read_block, write_blocks
from preprocess.write.example_proto import ListFrame, encode_rows, example, varint, varints
from preprocess.write.lanes import num_parts, num_slices
from preprocess.write.tfrecord import frame
from preprocess.write.zlib_pieces import HEADER, compress_piece, join_adler, trailer


@given(
    lines=st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=20),
    end=st.booleans(),
    size=st.integers(1, 40),
)
def test_chunks_of_a_file_and_of_a_stream_are_the_same_and_make_the_whole(lines: list[bytes], end: bool, size: int):
    import tempfile

    text = b"\n".join(lines) + (b"\n" if end else b"")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(text)
        of_file = [read_chunk(path, k, size) for k in range(num_chunks(len(text), size))]
    of_stream = list(stream_chunks(io.BytesIO(text), "log", size))
    assert b"".join(of_file) == text
    length = max(len(of_file), len(of_stream))
    padded = [chunks + [b""] * (length - len(chunks)) for chunks in (of_file, of_stream)]
    assert padded[0] == padded[1]
    assert all(chunk.endswith(b"\n") for chunk in of_file if chunk and chunk != [c for c in of_file if c][-1])


def test_sizes_of_the_chunks_add_up_to_the_file(tmp_path: Path):
    path = tmp_path / "log"
    path.write_bytes(b"x" * 25)
    assert [chunk_size(path, chunk, 10) for chunk in range(num_chunks(25, 10))] == [10, 10, 5]


def test_lines_of_a_chunk_lose_only_their_line_ends():
    assert split_lines(b"a\r\n\nb") == [b"a\r", b"", b"b"]
    assert split_lines(b"a\n") == [b"a"]
    assert split_lines(b"") == []


def test_line_of_endless_length_is_an_error_that_names_file_and_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(preprocess.read.chunks, "MAX_LINE_BYTES", 1000)
    text = b"a\n" + b"x" * 200_000
    (tmp_path / "log").write_bytes(text)
    with pytest.raises(InputDataError, match=r"log: the line at byte 100 is longer than 1000 bytes"):
        read_chunk(tmp_path / "log", 0, 100)
    with pytest.raises(InputDataError, match=r"packed: the line at byte 100 is longer than 1000 bytes"):
        list(stream_chunks(io.BytesIO(text), "packed", 100))


def test_block_file_gives_back_each_partition(tmp_path: Path):
    splits, feature_splits = np.array([0, 2, 2, 3]), np.array([0, 3, 3, 4])
    columns = {
        "key": Column(data=np.array([7, 8, 9], np.uint64), splits=splits),
        "lengths": Column(data=np.array([[1, 0], [0, 2], [1, 0]], np.int32), splits=splits),
        "ids": Column(data=np.arange(4, dtype=np.int64), splits=feature_splits),
    }
    sizes = write_blocks(tmp_path / "b", columns)
    assert sizes.tolist() == [2 * 8 + 4 * 4 + 3 * 8, 0, 8 + 2 * 4 + 8]
    first = read_block(tmp_path / "b", 0, ("key", "lengths", "ids"))
    assert [first[name].tolist() for name in first] == [[7, 8], [[1, 0], [0, 2]], [0, 1, 2]]
    assert read_block(tmp_path / "b", 1, ("lengths",))["lengths"].shape == (0, 2)
    assert read_block(tmp_path / "b", 2, ("ids",))["ids"].tolist() == [3]
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_features_are_arranged_by_row_then_field_then_log_order():
    entries = FeatureEntries(
        row=np.array([0, 0, 0, 1, 2, 2]),
        field=np.array([1, 0, 1, 0, 1, 0], np.uint8),
        ids=np.array([10, 11, 12, 13, 14, 15]),
        values=np.arange(6, dtype=np.float32),
    )
    rows = entries.in_order(np.array([2, 0, 1]), 2)
    assert rows.lengths.tolist() == [[1, 1], [1, 2], [1, 0]]
    assert rows.ids.tolist() == [15, 14, 11, 10, 12, 13]
    assert rows.values.tolist() == [5, 4, 1, 0, 2, 3]
    assert rows.field_of_feature().tolist() == [0, 1, 0, 1, 1, 0]
    assert rows.row_of_feature().tolist() == [0, 0, 1, 1, 1, 2]


def test_arranging_more_rows_than_16_bits_count_gives_the_same_order():
    count = 70_000
    row = np.repeat(np.arange(count), 2)
    entries = FeatureEntries(
        row=row,
        field=np.tile(np.array([1, 0], np.uint8), count),
        ids=np.arange(2 * count),
        values=np.ones(2 * count, np.float32),
    )
    rows = entries.in_order(np.arange(count)[::-1], 2)
    assert rows.ids[:2].tolist() == [2 * count - 1, 2 * count - 2]
    assert rows.ids[-2:].tolist() == [1, 0]


def test_rows_can_be_taken_and_their_features_dropped():
    rows = FeatureRows(
        lengths=np.array([[2, 1], [0, 1]], np.int32), ids=np.array([1, 2, 3, 4]), values=np.ones(4, np.float32)
    )
    taken = rows.take(np.array([1, 0, 1]))
    assert (taken.ids.tolist(), taken.lengths.tolist()) == ([4, 1, 2, 3, 4], [[0, 1], [2, 1], [0, 1]])
    kept = rows.keep(np.array([True, False, False, True]))
    assert (kept.ids.tolist(), kept.lengths.tolist()) == ([1, 4], [[1, 0], [0, 1]])
    assert ragged_index(splits_of(np.array([2, 0])), np.zeros(0, np.int64)).tolist() == []


@given(st.lists(st.integers(0, 2**63 - 1), max_size=50))
def test_varints_of_many_numbers_are_those_of_each(numbers: list[int]):
    data, splits = varints(np.array(numbers, np.int64))
    assert data == b"".join(varint(n) for n in numbers)
    assert [data[a:b] for a, b in itertools.pairwise(splits)] == [varint(n) for n in numbers]


def test_varint_of_300_is_the_one_of_the_protobuf_documentation():
    assert varint(300) == bytes([0xAC, 0x02])


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000, 3_000_000])
def test_tensorflow_reads_the_messages(size: int):
    """Lengths around each change in the number of bytes of a varint."""
    import tensorflow as tf

    numbers = np.arange(size) % 100
    data, splits = varints(numbers)
    lists = encode_rows(ListFrame(key="n"), data, splits[[0, size]])[0]
    floats = (numbers / 4).astype("<f4").tobytes()
    lists += encode_rows(ListFrame(key="f", kind="float"), floats, np.array([0, len(floats)]))[0]
    feature = tf.train.Example.FromString(example(lists)).features.feature
    assert list(feature["n"].int64_list.value) == numbers.tolist()
    assert list(feature["f"].float_list.value) == (numbers / 4).tolist()


def test_tensorflow_reads_framed_records_and_checks_their_checksums(tmp_path: Path):
    import tensorflow as tf

    (tmp_path / "r").write_bytes(frame(b"") + frame(b"data"))
    assert [r.numpy() for r in tf.data.TFRecordDataset(str(tmp_path / "r"))] == [b"", b"data"]


@given(pieces=st.lists(st.binary(max_size=300), max_size=5))
def test_pieces_compressed_apart_make_one_zlib_stream(pieces: list[bytes]):
    stream, adler = HEADER, 1
    for piece in pieces:
        packed, piece_adler = compress_piece(piece, 1)
        stream += packed
        adler = join_adler(adler, piece_adler, len(piece))
    assert adler == zlib.adler32(b"".join(pieces))
    assert zlib.decompress(stream + trailer(adler)) == b"".join(pieces)


def test_adler_of_long_data_wraps_around():
    first, second = b"\xff" * 100_000, b"\xfe" * 200_000
    assert join_adler(zlib.adler32(first), zlib.adler32(second), len(second)) == zlib.adler32(first + second)


def test_ranges_of_a_context_split_its_hashes_evenly():
    assert num_ranges(np.array([1, 32_767, 32_768, 100_000])).tolist() == [1, 1, 2, 4]
    hashes = np.array([0, 2**62, 2**63, 2**64 - 1], np.uint64)
    assert range_of(hashes, np.array([4, 4, 4, 4])).tolist() == [0, 1, 2, 3]
    assert range_of(hashes, np.array([1, 1, 1, 1])).tolist() == [0, 0, 0, 0]


def test_number_of_slices_and_parts_follows_from_the_sizes():
    assert [num_slices(n) for n in (0, 1, 16 << 20, (16 << 20) + 1)] == [1, 1, 1, 2]
    assert num_parts(total_piece_bytes=10**9, lanes=4, slices=100, shard_bytes=10**8) == 2  # 2.5 rounds to even
    assert num_parts(total_piece_bytes=0, lanes=4, slices=1, shard_bytes=10**8) == 1
    assert num_parts(total_piece_bytes=10**9, lanes=4, slices=3, shard_bytes=1) == 3


def test_field_whose_ids_do_not_fit_memory_is_named(tmp_path: Path):
    schema = load_schema("aliccp")
    kept = [0] * len(schema.fields)
    kept[0] = 1000
    job = MergeJob(work=tmp_path, schema=schema, buckets=1, names=(), known_fields=(), known_tables=(), min_count=1)
    with pytest.raises(ConfigError, match=r"Field '101' keeps 1000 ids; .*Raise memory_gb or min_count"):
        write_vocabulary(tmp_path / "v.parquet", job, kept, 10)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"min_count": 0}, r"min_count is 0\. Set 1 or more"),
        ({"group_size": 0}, r"group_size is 0\. Set 1 or more"),
        ({"lanes": 0}, r"lanes is 0\. Set 1 or more"),
        ({"lanes": 5000}, r"lanes is 5000\. Set at most 4096"),
        ({"seed": -1}, r"seed is -1\. Set 0 or more"),
        ({"seed": 2**63}, r"seed is 9223372036854775808\. Set less than 2\*\*63"),
        ({"shard_bytes": 0}, r"shard_bytes is 0\. Set 1 or more"),
        ({"workers": 0}, r"workers is 0\. Set 1\.\.1024"),
        ({"memory_gb": 0.0}, r"memory_gb is 0\.0\. Set a positive number"),
        ({"memory_gb": float("nan")}, r"memory_gb is nan"),
        ({"max_reject_share": 1.5}, r"max_reject_share is 1\.5\. Set a share from 0 to 1"),
    ],
)
def test_setting_out_of_range_is_an_error(setting: dict[str, float], text: str):
    with pytest.raises(ConfigError, match=text):
        PreprocessConfig(raw=Path("raw"), out=Path("out"), schema="aliccp", **setting)  # type: ignore[arg-type]


def _touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], r"holds no train log in the Ali-CCP form"),
        (["sample_skeleton_train.csv"], r"holds sample_skeleton_train\.csv but no common_features_train\.csv"),
        (["common_features_train.csv.gz"], r"but no sample_skeleton_train\.csv"),
        (
            ["sample_skeleton_train.csv", "sample_skeleton_train.csv.gz", "common_features_train.csv"],
            r"sample_skeleton_train\.csv and sample_skeleton_train\.csv\.gz: the same log in two forms",
        ),
        (
            ["sample_train.tar.gz", "sample_skeleton_train.csv", "common_features_train.csv"],
            r"sample_train\.tar\.gz and sample_skeleton_train\.csv: the same log in two forms",
        ),
    ],
)
def test_incomplete_or_ambiguous_folder_is_an_error(tmp_path: Path, names: list[str], text: str):
    with pytest.raises(InputDataError, match=text):
        find_inputs(_touch(tmp_path, *names), load_schema("aliccp"))


def test_folder_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(InputDataError, match=r"nowhere is not a folder"):
        find_inputs(tmp_path / "nowhere", load_schema("aliccp"))
