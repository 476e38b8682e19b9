"""What the join of an event log found for the impressions of a chunk: their labels, or why they have none.

``preprocess.events`` writes two kinds of files into ``.work/events``, int64 [2, N] each: for each partition of each
split the positions of its impressions, ascending, and their codes (bits of the labels, and a ``RowState`` from bit 48
on); and for each chunk that has any, the positions and states of impressions without key or time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

import numpy as np
import pyarrow as pa

from esmm_dist.arrays import I64, U8, Bools
from esmm_dist.errors import InputDataError
from preprocess.read.chunks import BATCH_ROWS
from preprocess.read.parse_job import ParseJob
from preprocess.read.rejects import Reason
from preprocess.read.row_files import ChunkId

STATE_SHIFT = 48
MOST_LABELS = 48
_CHUNK_LINES = 1 << 24


class RowState(IntEnum):
    """What becomes of an impression."""

    KEPT = 0
    TOO_RECENT = 1
    """It is left out, as its windows are not over (``PreprocessConfig.open_window``)."""
    REPEATED = 2
    BAD_TIME = 3
    NO_KEY = 4


REASONS = {
    RowState.REPEATED: Reason.REPEATED_IMPRESSION,
    RowState.BAD_TIME: Reason.BAD_TIME,
    RowState.NO_KEY: Reason.NO_JOIN_KEY,
}


@dataclass(frozen=True, kw_only=True)
class EventLabels:
    """What the join found for N impressions."""

    labels: U8
    """uint8 0/1 [N, K]"""
    states: U8
    """``RowState``: uint8 [N]"""


def joined_path(work: Path, split: str, partition: int) -> Path:
    """Return where the codes of a partition of a split are."""
    return work / "events" / f"joined-{split}-{partition:04d}.npy"


def unjoined_path(work: Path, chunk: ChunkId) -> Path:
    """Return where the impressions of a chunk without key or time are; there may be no such file."""
    return work / "events" / f"unjoined-{chunk.name('log')}.npy"


def event_labels(job: ParseJob, chunk: ChunkId, numbers: I64) -> EventLabels:
    """Return what the join found for rows of a chunk.

    Args:
        job: says where the files are
        chunk: the chunk
        numbers: lines of the rows within the chunk, ascending: int64 [N]

    Raises:
        InputDataError: The join has not seen a row: somebody changed files in ``.work``.
    """
    split = chunk.split
    codes = np.full(len(numbers), -1, np.int64)
    positions = chunk.base + numbers
    paths = [joined_path(job.work, split, partition) for partition in range(job.partitions)]
    for path in paths:
        joined = np.load(path, mmap_mode="r")
        begin, end = np.searchsorted(joined[0], (chunk.base, chunk.base + _CHUNK_LINES))
        _fill(codes, positions, np.array(joined[:, begin:end]))
    unjoined = unjoined_path(job.work, ChunkId(split=split, file=chunk.file, chunk=chunk.chunk))
    if unjoined.is_file():
        found = np.load(unjoined)
        _fill(codes, positions, np.stack((found[0], found[1] << STATE_SHIFT)))
    if (codes < 0).any():
        raise InputDataError("Impressions were not joined: files in .work were changed. Delete it and run again.")
    labels = (codes[:, None] >> np.arange(len(job.schema.labels))) & 1
    return EventLabels(labels=labels.astype(np.uint8), states=(codes >> STATE_SHIFT).astype(np.uint8))


def kept_rows(job: ParseJob, chunk: ChunkId, numbers: I64) -> Bools:
    """Return which rows of a chunk the join keeps, all of a log that is not joined: bool [N]."""
    if not job.is_joined:
        return np.ones(len(numbers), np.bool_)
    kept: Bools = event_labels(job, chunk, numbers).states == RowState.KEPT
    return kept


def kept_tables(job: ParseJob, first: ChunkId, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the rows of a row group of Parquet that the join keeps.

    Args:
        job: says where the files are
        first: chunk that the row group begins with
        batches: all rows of the group
    """
    before = 0
    for batch in batches:
        kept = kept_of_group(job, first, before + np.arange(batch.num_rows))
        yield pa.table(batch.filter(pa.array(kept)))
        before += batch.num_rows


def kept_of_group(job: ParseJob, first: ChunkId, rows: I64) -> Bools:
    """Return the same for rows of a row group of Parquet: bool [N].

    Args:
        job: says where the files are
        first: chunk that the row group begins with
        rows: places of the rows within the group, ascending: int64 [N]
    """
    kept = np.ones(len(rows), np.bool_)
    for number in np.unique(rows // BATCH_ROWS).tolist():
        here = rows // BATCH_ROWS == number
        kept[here] = kept_rows(job, replace(first, chunk=first.chunk + number), rows[here] % BATCH_ROWS)
    return kept


def _fill(codes: I64, positions: I64, found: I64) -> None:
    place = np.searchsorted(positions, found[0])
    there = place < len(positions)
    there[there] = positions[place[there]] == found[0][there]
    codes[place[there]] = found[1][there]
