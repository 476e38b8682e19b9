"""Rows on disk: what a chunk's file holds, however its features were handed over."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.read.feature_rows import FeatureEntries, index_dtype
from preprocess.read.row_files import (
    JOIN_COLUMNS,
    ChunkId,
    RawRows,
    Targets,
    chunk_of_position,
    partition_of,
    write_rows,
)
from preprocess.read.texts import Texts
from preprocess.work.blocks import read_block

FIELDS = 3


def entries(rows: int, features: list[tuple[int, int]]) -> FeatureEntries:
    return FeatureEntries(
        row=np.array([row % rows for row, _ in features], np.int64),
        field=np.array([field for _, field in features], index_dtype(FIELDS)),
        ids=np.arange(len(features)),
        values=np.arange(len(features), dtype=np.float32) / 4,
    )


def texts(*values: str) -> Texts:
    encoded = [value.encode() for value in values]
    return Texts(
        lengths=np.array([len(value) for value in encoded], np.int32), data=np.frombuffer(b"".join(encoded), np.uint8)
    )


@given(
    rows=st.integers(1, 8),
    features=st.lists(st.tuples(st.integers(0, 7), st.integers(0, FIELDS - 1)), max_size=30),
    partitions=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_features_in_log_order_and_in_rows_make_the_same_file(
    rows: int, features: list[tuple[int, int]], partitions: int, seed: int
):
    import tempfile

    keys = np.random.default_rng(seed).integers(0, 3, rows).astype(np.uint64)
    unordered = entries(rows, features)
    arranged = unordered.in_order(np.arange(rows), FIELDS)
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for name, form in (("entries", unordered), ("rows", arranged)):
            raw = RawRows(lines=np.arange(rows), keys=keys, features=form)
            sizes = write_rows(Path(folder) / name, raw, FIELDS, partitions)
            found.append(((Path(folder) / name).read_bytes(), sizes.tolist()))
    assert found[0] == found[1]


def test_a_partition_holds_the_rows_of_its_contexts_in_log_order(tmp_path: Path):
    keys = np.array([5, 9, 5, 7], np.uint64)
    targets = Targets(
        sample_ids=np.array([40, 41, 42, 43]),
        labels=np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.uint8),
        names=texts("a", "", "ccc", "dd"),
        weights=np.array([0.5, 1.5, 2.5, 3.5], np.float32),
    )
    features = entries(4, [(0, 1), (2, 0), (2, 2), (3, 1)])
    raw = RawRows(lines=np.arange(4), keys=keys, features=features, targets=targets)
    write_rows(tmp_path / "rows", raw, FIELDS, 2)
    part = partition_of(keys, 2)
    for p in range(2):
        rows = np.flatnonzero(part == p)
        block = read_block(tmp_path / "rows", p, JOIN_COLUMNS["skeleton"])
        assert block["key"].tolist() == keys[rows].tolist()
        assert block["line"].tolist() == rows.tolist()
        assert block["sample_id"].tolist() == (40 + rows).tolist()
        assert block["labels"].tolist() == targets.labels[rows].tolist()
        assert block["weight"].tolist() == (rows + 0.5).tolist()
        names = Texts(lengths=block["name_lengths"], data=block["names"]).to_list()
        assert names == [[b"a", b"", b"ccc", b"dd"][row] for row in rows]
        expected = {0: [0, 1, 0], 1: [0, 0, 0], 2: [1, 0, 1], 3: [0, 1, 0]}
        assert block["lengths"].tolist() == [expected[row] for row in rows]


def test_sample_ids_stand_again_by_their_own_hash_for_the_search_of_repeats(tmp_path: Path):
    targets = Targets(sample_ids=np.array([8, 3, 8]), labels=np.zeros((3, 2), np.uint8))
    keys = np.array([1, 2, 3], np.uint64)  # the same impression of two users
    write_rows(
        tmp_path / "rows", RawRows(lines=np.arange(3), keys=keys, features=entries(3, []), targets=targets), 3, 4
    )
    blocks = [read_block(tmp_path / "rows", p, ("repeat_sample_id", "repeat_line")) for p in range(4)]
    places = {p for p, block in enumerate(blocks) if 8 in block["repeat_sample_id"]}
    assert len(places) == 1
    (together,) = [blocks[p] for p in places]
    assert [
        line for line, name in zip(together["repeat_line"], together["repeat_sample_id"], strict=True) if name == 8
    ] == [0, 2]


def test_rows_of_another_number_of_fields_are_refused():
    rows = entries(2, [(0, 1)]).in_order(np.arange(2), FIELDS)
    with pytest.raises(ValueError, match="rows of 3 fields, not of 2"):
        rows.in_order(np.arange(2), 2)


@pytest.mark.parametrize(("file", "chunk", "line"), [(0, 0, 0), (3, 70_000, 5), (32_767, 2**24 - 1, 2**24 - 1)])
def test_a_position_leads_back_to_its_line(file: int, chunk: int, line: int):
    place = ChunkId(split="test", file=file, chunk=chunk)
    assert chunk_of_position("test", place.base + line) == (place, line)
    assert place.base + line < 2**63


def test_names_of_chunks_sort_as_the_lines_stand_in_the_log():
    chunks = [ChunkId(split="s", file=f, chunk=c, piece=p) for f in (0, 2, 10) for c in (0, 9, 10) for p in (0, 1, 2)]
    names = [chunk.name("log") for chunk in chunks]
    assert sorted(names) == names
