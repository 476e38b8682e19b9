"""The files between parsing and joining: rows of one chunk, partitioned by user context.

Columns of a ``skeleton`` file (one row an impression) and of a ``common`` file (one row a user context)::

    key         uint64      user context
    line        int64       0-based within the chunk
    sample_id   int64       skeleton only
    labels      uint8 [L]   skeleton only; as in the log
    weight      float32     skeleton only, and only where the log has sample weights
    day         int32       skeleton only, and only where the log has a time; for the counts of each day
    name_lengths, names    int32, uint8    skeleton only, and only where the log names impressions by texts
    lengths     int32 [F]   features of each field
    ids         int64       features, field after field
    values      float32     their weights
    repeat_sample_id, repeat_line    skeleton only: sample_id and line again, partitioned by sample_id
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from esmm_dist.arrays import F32, I32, I64, U8, U64
from esmm_dist.hashing import mix64
from preprocess.read.feature_rows import FeatureEntries, FeatureRows, Index, index_dtype, splits_of
from preprocess.read.texts import Texts
from preprocess.work.blocks import Column, write_blocks
from preprocess.work.merge_blocks import BlockSource, merge_blocks
from preprocess.work.workers import Result

RowKind = Literal["skeleton", "common"]

JOIN_COLUMNS: dict[RowKind, tuple[str, ...]] = {
    "common": ("key", "line", "lengths", "ids", "values"),
    "skeleton": (
        "key",
        "line",
        "sample_id",
        "labels",
        "weight",
        "day",
        "name_lengths",
        "names",
        "lengths",
        "ids",
        "values",
    ),
}


@dataclass(frozen=True, kw_only=True)
class ChunkId:
    """Which chunk of which file of a split."""

    split: str
    file: int
    chunk: int
    piece: int = 0
    """Which run of rows, where memory does not hold the whole chunk. Lines are numbered within the chunk."""

    def name(self, kind: str) -> str:
        """Return the stem of its files; stems sort as the lines stand in the log."""
        piece = f"-{self.piece:06d}" if self.piece else ""
        return f"{self.split}-{kind}-{self.file:04d}-{self.chunk:06d}{piece}"

    @property
    def base(self) -> int:
        """Position of the chunk's line 0; positions of a split order its lines as the log does."""
        return self.file << 48 | self.chunk << 24


def chunk_of_position(split: str, position: int) -> tuple[ChunkId, int]:
    """Return the chunk and the line within it of a position."""
    chunk = ChunkId(split=split, file=position >> 48, chunk=position >> 24 & 0xFFFFFF)
    return chunk, position & 0xFFFFFF  # a chunk has fewer than 2^24 lines (see chunks.py)


def rows_path(work: Path, kind: RowKind, chunk: ChunkId) -> Path:
    """Return the path of a chunk's rows."""
    return work / "chunks" / f"{chunk.name(kind)}.rows"


def merged_rows_path(work: Path, split: str, kind: RowKind, number: int) -> Path:
    """Return the path of the rows of many chunks."""
    return work / "chunks" / f"{split}-{kind}-merged-{number:05d}.rows"


@dataclass(frozen=True, kw_only=True)
class RowFile:
    """A block file of rows, and how to turn its lines into positions."""

    path: Path
    base: int
    """Position of its line 0."""
    first_sample_id: int = 0
    """Added to its sample ids: not 0 if the log has none and lines are numbered within their chunk."""

    def source(self) -> BlockSource:
        """Return the rows with final positions and sample ids, to be merged with others."""
        terms = {"line": self.base, "repeat_line": self.base, "sample_id": self.first_sample_id}
        return BlockSource(path=self.path, terms=terms)


RowFiles = Mapping[tuple[str, RowKind], tuple[RowFile, ...]]
"""The files with the rows of a split and kind, in log order."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What R rows say of their impressions, beside the features."""

    sample_ids: I64
    labels: U8
    """As in the log, uint8 [R, L]."""
    names: Texts | None = None
    """Texts that name the impressions; None: their sample ids do."""
    weights: F32 | None = None
    """Sample weights, float32 [R]; None: the log has none."""
    days: I32 | None = None
    """Calendar days since 1970-01-01, or ``NO_DAY``: int32 [R]; None: the log has no time."""

    def take(self, index: I64) -> "Targets":
        """Return the rows at ``index`` (int64 [K]), in its order."""
        return Targets(
            sample_ids=self.sample_ids[index],
            labels=self.labels[index],
            names=None if self.names is None else self.names.take(index),
            weights=None if self.weights is None else self.weights[index],
            days=None if self.days is None else self.days[index],
        )


@dataclass(frozen=True, kw_only=True)
class RawRows:
    """R rows as they were parsed: impressions, or user contexts."""

    lines: I64
    keys: U64
    features: FeatureEntries | FeatureRows
    targets: Targets | None = None
    """None: the rows are user contexts."""


def write_rows(path: Path, rows: RawRows, num_fields: int, partitions: int) -> I64:
    """Write the rows of a chunk; return the bytes that each partition takes, int64 [partitions]."""
    part = partition_of(rows.keys, partitions)
    order = np.argsort(part, kind="stable")
    features = rows.features.in_order(order, num_fields)
    splits = _splits(part, partitions)
    feature_splits = features.row_splits[splits]
    columns = {
        "key": Column(data=rows.keys[order], splits=splits),
        "line": Column(data=rows.lines[order], splits=splits),
    }
    if rows.targets is not None:
        columns |= _target_columns(rows.targets, order, splits)
    columns["lengths"] = Column(data=features.lengths, splits=splits)
    columns["ids"] = Column(data=features.ids, splits=feature_splits)
    columns["values"] = Column(data=features.values, splits=feature_splits)
    if rows.targets is not None:
        columns |= _repeat_columns(rows.targets.sample_ids, rows.lines, partitions)
    return write_blocks(path, columns)


def merge_row_files(path: Path, files: Sequence[RowFile], room_bytes: int) -> Result:
    """Write the rows of several files, which follow each other in the log, as one; its line 0 has position 0.

    Args:
        path: file to write
        files: the files
        room_bytes: what is held of them at once; twice that is in memory
    """
    merge_blocks(path, [file.source() for file in files], room_bytes)
    return {"files": len(files)}


def _target_columns(targets: Targets, order: I64, splits: I64) -> dict[str, Column]:
    targets = targets.take(order)
    columns = {
        "sample_id": Column(data=targets.sample_ids, splits=splits),
        "labels": Column(data=targets.labels, splits=splits),
    }
    if targets.weights is not None:
        columns["weight"] = Column(data=targets.weights, splits=splits)
    if targets.days is not None:
        columns["day"] = Column(data=targets.days, splits=splits)
    if targets.names is not None:
        columns["name_lengths"] = Column(data=targets.names.lengths, splits=splits)
        columns["names"] = Column(data=targets.names.data, splits=targets.names.splits[splits])
    return columns


def _repeat_columns(sample_ids: I64, lines: I64, partitions: int) -> dict[str, Column]:
    part = partition_of(sample_ids.astype(np.uint64), partitions)
    order = np.argsort(part, kind="stable")
    splits = _splits(part, partitions)
    return {
        "repeat_sample_id": Column(data=sample_ids[order], splits=splits),
        "repeat_line": Column(data=lines[order], splits=splits),
    }


def partition_of(keys: U64, partitions: int) -> Index:
    """Return the partition of each key: [R]."""
    return (mix64(keys) % np.uint64(partitions)).astype(index_dtype(partitions))


def _splits(part: Index, partitions: int) -> I64:
    return splits_of(np.bincount(part, minlength=partitions))
