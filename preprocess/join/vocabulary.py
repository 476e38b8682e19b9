"""Stage 4: the vocabulary: ids that enough train impressions hold, or that are known from before (``known_ids``).

``vocabulary.parquet`` lists them by field (in schema order), then by id. For the filter, each field and each table also
gets a file of ``lookup_files``. ``rare_ids.parquet`` lists the ids that are not kept in the same way, so that the next
day's log can count on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.arrays import I64, Array, Bools
from esmm_dist.errors import ConfigError
from esmm_dist.schema.feature_id import ID_MASK
from esmm_dist.schema.fields import Schema
from esmm_dist.storage.arrow_path import arrow_path
from preprocess.join.count import counts_path
from preprocess.join.lookup_files import lookup_path, table_lookup_path, write_lookup
from preprocess.work.blocks import Column, read_block, write_blocks
from preprocess.work.workers import Result

VOCABULARY_NAME = "vocabulary.parquet"
RARE_IDS_NAME = "rare_ids.parquet"
_COLUMNS = ("field", "id", "count")
_SORT_BYTES_PER_ID = 64  # measured peak of gathering and sorting one field
_GROUP_ROWS = 1 << 20  # of a row group of rare ids
_SAMPLED = 256  # of so many rare ids one is looked at, to cut them into ranges that memory holds


@dataclass(frozen=True, kw_only=True)
class MergeJob:
    """What the merges of all buckets share."""

    work: Path
    schema: Schema
    buckets: int
    names: tuple[str, ...]
    """Partitions of the train split whose ids were counted."""
    known_fields: tuple[Path, ...]
    """Block files of ids that are known by field, with the impressions that held them before."""
    known_tables: tuple[Path, ...]
    """Block files of ids that are known by table."""
    min_count: int
    known_counts: tuple[Path, ...] = ()
    """Block files of ids with the impressions that held them before, which are not kept for being known."""


def merge_counts(job: MergeJob, bucket: int) -> Result:
    """Add up the counts of one bucket over all partitions; write the ids that are kept, and the others, by field.

    An id of a field is kept if it reaches ``min_count``, counting what held it before, or is known. What no impression
    here holds is kept only if it is known: there is nothing to learn of it.

    Returns:
        For each field: ids of this train split and their occurrences there that were dropped, ids that were kept, those
        of them that no impression of this train split holds, and all ids that are not kept; and the largest count of
        all.
    """
    num_fields = len(job.schema.fields)
    counted = [read_block(counts_path(job.work, name), bucket, _COLUMNS) for name in job.names]
    before = [read_block(path, bucket, _COLUMNS) for path in job.known_counts]
    known = [read_block(path, bucket, _COLUMNS) for path in job.known_fields]
    field, ids, counts = (_joined([*counted, *before, *known], name) for name in _COLUMNS)
    num_here, num_known = (sum(len(block["id"]) for block in blocks) for blocks in (counted, known))
    place = np.arange(len(ids))
    here, is_known = place < num_here, place >= len(ids) - num_known
    order = np.lexsort((ids, field))
    field, ids, counts, here, is_known = field[order], ids[order], counts[order], here[order], is_known[order]
    first = np.ones(len(ids), np.bool_)
    first[1:] = (ids[1:] != ids[:-1]) | (field[1:] != field[:-1])
    starts = np.flatnonzero(first)
    totals, counts_here = _summed(counts, starts), _summed(counts * here, starts)
    field, ids = field[starts], ids[starts]
    kept = (counts_here > 0) & (totals >= job.min_count)
    kept |= _summed(is_known.astype(np.int64), starts) > 0
    kept |= _in_tables(job, bucket, field, ids)
    dropped_here = ~kept & (counts_here > 0)
    occurrences = np.bincount(field[dropped_here], weights=counts_here[dropped_here], minlength=num_fields)
    return {
        "dropped_ids": np.bincount(field[dropped_here], minlength=num_fields).tolist(),
        "dropped_occurrences": occurrences.astype(np.int64).tolist(),
        "kept_ids": _write_bucket(job, bucket_path(job.work, bucket), field[kept], ids[kept], totals[kept]),
        "unseen_ids": np.bincount(field[kept & (counts_here == 0)], minlength=num_fields).tolist(),
        "rare_ids": _write_bucket(job, rare_path(job.work, bucket), field[~kept], ids[~kept], totals[~kept]),
        "largest_count": int(totals.max(initial=0)),
    }


def _write_bucket(job: MergeJob, path: Path, field: I64, ids: I64, counts: I64) -> list[int]:
    """Write ids, ordered by field and id, and their counts, by field; return how many each field has."""
    splits = np.searchsorted(field, np.arange(len(job.schema.fields) + 1)).astype(np.int64)
    write_blocks(path, {"id": Column(data=ids, splits=splits), "count": Column(data=counts, splits=splits)})
    return [int(size) for size in np.diff(splits)]


def _joined(blocks: Sequence[Mapping[str, Array]], name: str) -> I64:
    parts = [np.zeros(0, np.int64), *(block[name].astype(np.int64) for block in blocks)]
    return np.concatenate(parts)


def _summed(values: I64, starts: I64) -> I64:
    sums: I64 = np.add.reduceat(values, starts) if len(starts) else np.zeros(0, np.int64)
    return sums


def _in_tables(job: MergeJob, bucket: int, field: I64, ids: I64) -> Bools:
    """Return which ids are known by the table of their field: bool [N]."""
    found = np.zeros(len(ids), np.bool_)
    tables = job.schema.tables
    table = np.array([tables.index(each.table) for each in job.schema.fields], np.int64)[field]
    for path in job.known_tables:
        block = read_block(path, bucket, ("field", "id"))
        for number in np.unique(block["field"]).tolist():
            found |= (table == number) & np.isin(ids, block["id"][block["field"] == number])
    return found


def write_vocabulary(path: Path, job: MergeJob, kept_ids: Sequence[int], memory_bytes: int) -> None:
    """Write ``vocabulary.parquet`` (at ``path``) and the lookup files from the merged counts of all buckets.

    Args:
        path: the file
        job: what the merges shared
        kept_ids: ids that each field keeps
        memory_bytes: what sorting the ids of one field or table may take

    Raises:
        ConfigError: The ids of one field do not fit ``memory_bytes`` while they are sorted.
    """
    temporary = job.work / f"{VOCABULARY_NAME}.tmp"
    with pq.ParquetWriter(arrow_path(temporary), _TABLE, compression="zstd") as writer:
        for index, field in enumerate(job.schema.fields):
            _check_memory(f"Field '{field.name}'", kept_ids[index], memory_bytes)
            ids, counts = _merged_field(job, index)
            writer.write_table(_table(job, index, ids, counts))
            write_lookup(lookup_path(job.work, index), ids)
    for number, table in enumerate(job.schema.tables):
        ids = _known_of_table(job, number, table, memory_bytes)
        write_lookup(table_lookup_path(job.work, number), ids)
    temporary.replace(path)


def write_rare_ids(path: Path, job: MergeJob, rare_ids: Sequence[int], memory_bytes: int) -> None:
    """Write ``rare_ids.parquet`` (at ``path``): what is not kept, ordered by field and id, however much it is.

    Args:
        path: the file
        job: what the merges shared
        rare_ids: ids that each field does not keep
        memory_bytes: what sorting ids may take; with more of them a field is written range by range
    """
    temporary = job.work / f"{RARE_IDS_NAME}.tmp"
    with pq.ParquetWriter(arrow_path(temporary), _TABLE, compression="zstd") as writer:
        for index, number in enumerate(rare_ids):
            ranges = -(-number * _SORT_BYTES_PER_ID // max(1, memory_bytes))
            waiting = _table(job, index, np.zeros(0, np.int64), np.zeros(0, np.int64))
            for ids, counts in _rare_ranges(job, index, ranges):
                waiting = pa.concat_tables([waiting, _table(job, index, ids, counts)])
                whole = waiting.num_rows // _GROUP_ROWS * _GROUP_ROWS  # so that the ranges do not change the file
                if whole:
                    writer.write_table(waiting.slice(0, whole).combine_chunks(), row_group_size=_GROUP_ROWS)
                    waiting = waiting.slice(whole)
            if waiting.num_rows:
                writer.write_table(waiting.combine_chunks(), row_group_size=_GROUP_ROWS)
    temporary.replace(path)


def _rare_ranges(job: MergeJob, field: int, ranges: int) -> Iterator[tuple[I64, I64]]:
    """Yield the ids of a field that are not kept and their counts, ascending, in about so many parts."""
    paths = [rare_path(job.work, bucket) for bucket in range(job.buckets)]
    begins: list[int] = []
    if ranges > 1:
        sample = np.sort(np.concatenate([read_block(path, field, ("id",))["id"][::_SAMPLED] for path in paths]))
        begins = sorted(set(sample[np.arange(1, ranges) * len(sample) // ranges].tolist()))
    for begin, end in pairwise([-1, *begins, ID_MASK]):
        parts: list[tuple[I64, I64]] = []
        for path in paths:
            block = read_block(path, field, ("id", "count"))
            places = slice(*(int(np.searchsorted(block["id"], bound, side="right")) for bound in (begin, end)))
            parts.append((block["id"][places], block["count"][places]))
        ids, counts = (np.concatenate([part[column] for part in parts]) for column in (0, 1))
        order = np.argsort(ids, kind="stable")
        yield ids[order], counts[order]


_TABLE = pa.schema(
    [("feature_id", pa.int64()), ("field", pa.dictionary(pa.int32(), pa.string())), ("count", pa.int64())]
)


def _table(job: MergeJob, field: int, ids: I64, counts: I64) -> pa.Table:
    names = pa.array([each.name for each in job.schema.fields], pa.string())
    codes = pa.DictionaryArray.from_arrays(pa.array(np.full(len(ids), field, np.int32)), names)
    return pa.table([pa.array(ids), codes, pa.array(counts)], schema=_TABLE)


def _merged_field(job: MergeJob, field: int) -> tuple[I64, I64]:
    """Return the kept ids of a field, ascending, and their counts."""
    blocks = [read_block(bucket_path(job.work, bucket), field, ("id", "count")) for bucket in range(job.buckets)]
    ids = np.concatenate([block["id"] for block in blocks])
    counts = np.concatenate([block["count"] for block in blocks])
    order = np.argsort(ids, kind="stable")
    return ids[order], counts[order]


def _known_of_table(job: MergeJob, number: int, table: str, memory_bytes: int) -> I64:
    """Return the ids that are known by one table, ascending; most data sets have none."""
    of_table: list[I64] = []
    for path in job.known_tables:
        for bucket in range(job.buckets):
            block = read_block(path, bucket, ("field", "id"))
            of_table.append(block["id"][block["field"] == number])
        _check_memory(f"Table '{table}'", sum(map(len, of_table)), memory_bytes)
    return np.sort(np.concatenate([np.zeros(0, np.int64), *of_table]))


def _check_memory(what: str, ids: int, memory_bytes: int) -> None:
    need = ids * _SORT_BYTES_PER_ID
    if need > memory_bytes:
        raise ConfigError(
            f"{what} keeps {ids} ids; sorting them takes {need / 1e9:.1f} GB, more than memory_gb leaves. Raise "
            "memory_gb or min_count."
        )


def bucket_path(work: Path, bucket: int) -> Path:
    """Return the path of the kept ids of one bucket."""
    return work / "counts" / f"kept-{bucket:04d}.blocks"


def rare_path(work: Path, bucket: int) -> Path:
    """Return the path of the ids of one bucket that are not kept."""
    return work / "counts" / f"rare-{bucket:04d}.blocks"
