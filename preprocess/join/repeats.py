"""Stage 2: find lines that repeat an earlier line's name: its sample id, or its common_feature_index.

The first line keeps the name; the later ones are rejected.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from esmm_dist.arrays import I64, Array
from preprocess.read.row_files import RowFile, RowKind
from preprocess.work.blocks import read_block, save_array
from preprocess.work.workers import Result

_COLUMNS: dict[RowKind, tuple[str, str]] = {
    "skeleton": ("repeat_sample_id", "repeat_line"),
    "common": ("key", "line"),
}


def find_repeats(work: Path, kind: RowKind, split: str, files: Sequence[RowFile], partition: int) -> Result:
    """Find the repeats among the names of one partition; write the positions of the later lines, sorted.

    Args:
        work: the run's folder
        kind: kind of the rows
        split: name of the split
        files: rows of the split, in log order
        partition: which partition of them
    """
    name_column, line_column = _COLUMNS[kind]
    names: list[Array] = []
    positions: list[I64] = []
    for file in files:
        block = read_block(file.path, partition, (name_column, line_column))
        names.append(block[name_column])
        positions.append(block[line_column] + file.base)
    repeats = later_positions(np.concatenate(names), np.concatenate(positions))
    if len(repeats):
        save_array(_part_path(work, kind, split, partition), repeats)
    return {"repeats": len(repeats)}


def later_positions(names: Array, positions: I64) -> I64:
    """Return the positions of all but the first occurrence of each name, sorted; ``positions`` must ascend."""
    order = np.argsort(names, kind="stable")
    ordered = names[order]
    return np.sort(positions[order[1:][ordered[1:] == ordered[:-1]]])


def merge_repeats(work: Path, kind: RowKind, split: str, partitions: int) -> Result:
    """Join what ``find_repeats`` found in all partitions into one file."""
    parts = [path for i in range(partitions) if (path := _part_path(work, kind, split, i)).is_file()]
    merged = np.sort(np.concatenate([np.zeros(0, np.int64), *(np.load(part) for part in parts)]))
    save_array(repeats_path(work, kind, split), merged)
    return {"repeats": len(merged)}


def load_repeats(work: Path, kind: RowKind, split: str) -> I64:
    """Return the positions of a split's lines that repeat an earlier one, sorted; mapped, so processes share it."""
    path = repeats_path(work, kind, split)
    if not path.is_file():  # a log whose impressions are numbered here cannot repeat a number
        return np.zeros(0, np.int64)
    array: I64 = np.load(path, mmap_mode="r")
    return array


def repeats_path(work: Path, kind: RowKind, split: str) -> Path:
    """Return the path of the repeats of a split."""
    return work / "chunks" / f"repeats-{split}-{kind}.npy"


def _part_path(work: Path, kind: RowKind, split: str, partition: int) -> Path:
    return work / "chunks" / f"repeats-{split}-{kind}-{partition:04d}.npy"
