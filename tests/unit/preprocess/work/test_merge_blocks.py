"""Many block files become one."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.work.blocks import Column, read_block, write_blocks
from preprocess.work.merge_blocks import BLOCK_BYTES, LEAST_READ_BYTES, BlockSource, group_files, merge_blocks

PARTITIONS = 5


def write_file(path: Path, seed: int, rows: int) -> None:
    """Rows with their partition (``part``), a line number, a list and an odd number of bytes before it."""
    rng = np.random.default_rng(seed)
    part = np.sort(rng.integers(0, PARTITIONS, rows))
    splits = np.searchsorted(part, np.arange(PARTITIONS + 1)).astype(np.int64)
    columns = {
        "part": Column(data=part.astype(np.uint8), splits=splits),
        "line": Column(data=np.arange(rows), splits=splits),
        "labels": Column(data=rng.integers(0, 2, (rows, 3)).astype(np.uint8), splits=splits),
        "ids": Column(data=rng.integers(0, 2**62, 2 * rows), splits=2 * splits),
    }
    write_blocks(path, columns)


@pytest.mark.parametrize("room_bytes", [1, 300, 10**6])  # a partition at a time, some, all
def test_a_partition_of_the_merged_file_holds_those_of_all_files_in_their_order(tmp_path: Path, room_bytes: int):
    names = ("part", "line", "labels", "ids")
    paths = [tmp_path / f"{number}" for number in range(3)]
    for number, (path, rows) in enumerate(zip(paths, (40, 0, 7), strict=True)):
        write_file(path, number, rows)
    # larger than a byte, so that a carry is needed
    sources = [BlockSource(path=path, terms={"line": (number << 48) + 255}) for number, path in enumerate(paths)]
    merge_blocks(tmp_path / "merged", sources, room_bytes)
    for p in range(PARTITIONS):
        blocks = [read_block(path, p, names) for path in paths]
        merged = read_block(tmp_path / "merged", p, names)
        assert merged["part"].tolist() == [p] * len(merged["part"])
        for name in ("labels", "ids"):
            np.testing.assert_array_equal(merged[name], np.concatenate([block[name] for block in blocks]))
        lines = [block["line"] + (number << 48) + 255 for number, block in enumerate(blocks)]
        np.testing.assert_array_equal(merged["line"], np.concatenate(lines))


def test_files_are_grouped_until_a_partition_has_a_large_block():
    small = BLOCK_BYTES  # of 4 partitions: a quarter of what a block should have
    assert group_files([small] * 9, 4, 10**9) == [4, 8, 9]
    assert group_files([4 * small] * 3, 4, 10**9) == [1, 2, 3]  # large enough as they are
    assert group_files([small] * 5, 1000, 2 * LEAST_READ_BYTES) == [2, 4, 5]  # memory is shared by two at the most
    assert group_files([], 4, 10**9) == []


@given(
    file_bytes=st.lists(st.integers(0, 10**8), max_size=300),
    partitions=st.integers(1, 4096),
    room_bytes=st.integers(1, 10**8),
)
def test_groups_follow_each_other_and_hold_every_file_once(file_bytes: list[int], partitions: int, room_bytes: int):
    ends = group_files(file_bytes, partitions, room_bytes)
    assert ends == sorted(set(ends))
    assert (ends[-1] if ends else 0) == len(file_bytes)
    assert 0 not in ends


@pytest.mark.parametrize("chunks", [100, 1000, 10_000, 60_000])
def test_reads_of_a_pass_grow_in_a_straight_line_with_the_log(chunks: int):
    """A log of 64 chunks more has one more partition. 10^9 impressions are 57,000 chunks."""
    partitions, room, rows = min(4096, -(-chunks // 10)), 64 << 20, 6_700_000
    groups = len(group_files([rows] * chunks, partitions, room))
    reads_of_a_pass = groups * partitions
    assert reads_of_a_pass <= 2 * chunks * rows / BLOCK_BYTES + partitions
    # Merging reads a range of each file at a time.
    files = -(-chunks // groups)
    ranges = -(-files * rows // room) if files > 1 else 0
    assert chunks * ranges <= chunks * rows / BLOCK_BYTES
