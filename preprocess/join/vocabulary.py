"""Stage 4: the vocabulary: ids that enough train impressions hold, or that are known from before (``known_ids``).

``vocabulary.parquet`` lists them by field (in schema order), then by id. For the filter, each field and each table also
gets a file of ``lookup_files``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.arrays import I64, Array, Bools
from esmm_dist.errors import ConfigError
from esmm_dist.schema.fields import Schema
from esmm_dist.storage.arrow_path import arrow_path
from preprocess.join.count import counts_path
from preprocess.join.lookup_files import lookup_path, table_lookup_path, write_lookup
from preprocess.work.blocks import Column, read_block, write_blocks
from preprocess.work.workers import Result

VOCABULARY_NAME = "vocabulary.parquet"
_COLUMNS = ("field", "id", "count")
_SORT_BYTES_PER_ID = 64  # measured peak of gathering and sorting one field


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


def merge_counts(job: MergeJob, bucket: int) -> Result:
    """Add up the counts of one bucket over all partitions; write the ids that are kept, by field.

    An id of a field is kept if it reaches ``min_count``, counting what held it before, or is known.

    Returns:
        For each field: ids and occurrences that were dropped, ids that were kept, and those of them that no impression
        of this train split holds; and the largest count of all.
    """
    num_fields = len(job.schema.fields)
    counted = [read_block(counts_path(job.work, name), bucket, _COLUMNS) for name in job.names]
    known = [read_block(path, bucket, _COLUMNS) for path in job.known_fields]
    field, ids, counts = (_joined([*counted, *known], name) for name in _COLUMNS)
    is_known = np.arange(len(ids)) >= sum(len(block["id"]) for block in counted)
    order = np.lexsort((ids, field))
    field, ids, counts, is_known = field[order], ids[order], counts[order], is_known[order]
    first = np.ones(len(ids), np.bool_)
    first[1:] = (ids[1:] != ids[:-1]) | (field[1:] != field[:-1])
    starts = np.flatnonzero(first)
    totals, known_before = _summed(counts, starts), _summed(is_known.astype(np.int64), starts)
    unseen = known_before == np.diff(np.append(starts, len(ids)))
    field, ids = field[starts], ids[starts]
    kept = (totals >= job.min_count) | (known_before > 0) | _in_tables(job, bucket, field, ids)
    splits = np.searchsorted(field[kept], np.arange(num_fields + 1)).astype(np.int64)
    write_blocks(
        bucket_path(job.work, bucket),
        {"id": Column(data=ids[kept], splits=splits), "count": Column(data=totals[kept], splits=splits)},
    )
    return {
        "dropped_ids": np.bincount(field[~kept], minlength=num_fields).tolist(),
        "dropped_occurrences": np.bincount(field[~kept], weights=totals[~kept], minlength=num_fields)
        .astype(np.int64)
        .tolist(),
        "kept_ids": np.diff(splits).tolist(),
        "unseen_ids": np.bincount(field[unseen], minlength=num_fields).tolist(),
        "largest_count": int(totals.max(initial=0)),
    }


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
    table_schema = pa.schema(
        [("feature_id", pa.int64()), ("field", pa.dictionary(pa.int32(), pa.string())), ("count", pa.int64())]
    )
    names = pa.array([field.name for field in job.schema.fields], pa.string())
    temporary = job.work / f"{VOCABULARY_NAME}.tmp"
    with pq.ParquetWriter(arrow_path(temporary), table_schema, compression="zstd") as writer:
        for index, field in enumerate(job.schema.fields):
            _check_memory(f"Field '{field.name}'", kept_ids[index], memory_bytes)
            ids, counts = _merged_field(job, index)
            codes = pa.DictionaryArray.from_arrays(pa.array(np.full(len(ids), index, np.int32)), names)
            writer.write_table(pa.table([pa.array(ids), codes, pa.array(counts)], schema=table_schema))
            write_lookup(lookup_path(job.work, index), ids)
    for number, table in enumerate(job.schema.tables):
        ids = _known_of_table(job, number, table, memory_bytes)
        write_lookup(table_lookup_path(job.work, number), ids)
    temporary.replace(path)


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
