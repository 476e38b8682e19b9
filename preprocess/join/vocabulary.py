"""Stage 4: the vocabulary: ids that enough train impressions hold, or that are known from before (``known``).

``vocabulary.parquet`` lists them by field (in schema order), then by id. For the filter, each field also has a lookup
file that workers map into memory, so that they share it: a table of one byte an id where the ids stand close together
(about 10 ns a lookup), else the sorted ids (binary search, about 250 ns).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.errors import ConfigError
from esmm_dist.schema.fields import Schema
from esmm_dist.storage.arrow_path import arrow_path
from preprocess.blocks import Column, read_block, write_blocks
from preprocess.join.count import counts_path
from preprocess.join.repeats import save_array
from preprocess.workers import Result

I64 = npt.NDArray[np.int64]

VOCABULARY_NAME = "vocabulary.parquet"
_COLUMNS = ("field", "id", "count")
_TABLE_BYTES_PER_ID = 16  # a table may be twice as large as the sorted ids would be
_SORT_BYTES_PER_ID = 64  # measured peak of gathering and sorting one field


@dataclass(frozen=True, kw_only=True)
class MergeJob:
    """What the merges of all buckets share."""

    work: Path
    names: tuple[str, ...]
    """Partitions of the train split whose ids were counted."""
    known_fields: tuple[Path, ...]
    """Block files of ids that are known by field, with the impressions that held them before."""
    known_tables: tuple[Path, ...]
    """Block files of ids that are known by table."""
    table_of_field: tuple[int, ...]
    """For each field of the schema the number of its table."""
    min_count: int


def merge_counts(job: MergeJob, bucket: int) -> Result:
    """Add up the counts of one bucket over all partitions; write the ids that are kept, by field.

    An id of a field is kept if it reaches ``min_count``, counting what held it before, or is known.

    Returns:
        For each field: ids and occurrences that were dropped, ids that were kept, and those of them that no impression
        of this train split holds; and the largest count of all.
    """
    num_fields = len(job.table_of_field)
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


def _joined(blocks: Sequence[Mapping[str, npt.NDArray[Any]]], name: str) -> I64:
    parts = [np.zeros(0, np.int64), *(block[name].astype(np.int64) for block in blocks)]
    return np.concatenate(parts)


def _summed(values: I64, starts: I64) -> I64:
    sums: I64 = np.add.reduceat(values, starts) if len(starts) else np.zeros(0, np.int64)
    return sums


def _in_tables(job: MergeJob, bucket: int, field: I64, ids: I64) -> npt.NDArray[np.bool_]:
    """Return which ids are known by the table of their field: bool [N]."""
    found = np.zeros(len(ids), np.bool_)
    table = np.array(job.table_of_field, np.int64)[field]
    for path in job.known_tables:
        block = read_block(path, bucket, ("field", "id"))
        for number in np.unique(block["field"]).tolist():
            found |= (table == number) & np.isin(ids, block["id"][block["field"] == number])
    return found


def write_vocabulary(
    path: Path,
    work: Path,
    schema: Schema,
    buckets: int,
    kept_ids: Sequence[int],
    known_tables: Sequence[Path],
    memory_bytes: int,
) -> None:
    """Write ``vocabulary.parquet`` (at ``path``) and the lookup files.

    Args:
        path: the file
        work: folder with the merged counts
        schema: its fields give the order
        buckets: number of merged files
        kept_ids: ids that each field keeps
        known_tables: block files of ids that are known by table
        memory_bytes: what sorting the ids of one field or table may take

    Raises:
        ConfigError: The ids of one field do not fit ``memory_bytes`` while they are sorted.
    """
    table_schema = pa.schema(
        [("feature_id", pa.int64()), ("field", pa.dictionary(pa.int32(), pa.string())), ("count", pa.int64())]
    )
    names = pa.array([field.name for field in schema.fields], pa.string())
    temporary = work / f"{VOCABULARY_NAME}.tmp"
    with pq.ParquetWriter(arrow_path(temporary), table_schema, compression="zstd") as writer:
        for index, field in enumerate(schema.fields):
            _check_memory(f"Field '{field.name}'", kept_ids[index], memory_bytes)
            blocks = [read_block(bucket_path(work, bucket), index, ("id", "count")) for bucket in range(buckets)]
            ids = np.concatenate([block["id"] for block in blocks])
            counts = np.concatenate([block["count"] for block in blocks])
            order = np.argsort(ids, kind="stable")
            ids, counts = ids[order], counts[order]
            codes = pa.DictionaryArray.from_arrays(pa.array(np.full(len(ids), index, np.int32)), names)
            writer.write_table(pa.table([pa.array(ids), codes, pa.array(counts)], schema=table_schema))
            _write_lookup(lookup_path(work, index), ids)
    for number, table in enumerate(schema.tables):
        _write_table_lookup(work, number, table, buckets, known_tables, memory_bytes)
    temporary.replace(path)


def _write_table_lookup(
    work: Path, number: int, table: str, buckets: int, known_tables: Sequence[Path], memory_bytes: int
) -> None:
    """Write the lookup file of the ids that are known by one table; most data sets have none."""
    of_table: list[I64] = []
    for path in known_tables:
        for bucket in range(buckets):
            block = read_block(path, bucket, ("field", "id"))
            of_table.append(block["id"][block["field"] == number])
        _check_memory(f"Table '{table}'", sum(map(len, of_table)), memory_bytes)
    ids = np.sort(np.concatenate([np.zeros(0, np.int64), *of_table]))
    _write_lookup(table_lookup_path(work, number), ids)


def _check_memory(what: str, ids: int, memory_bytes: int) -> None:
    need = ids * _SORT_BYTES_PER_ID
    if need > memory_bytes:
        raise ConfigError(
            f"{what} keeps {ids} ids; sorting them takes {need / 1e9:.1f} GB, more than memory_gb leaves. Raise "
            "memory_gb or min_count."
        )


def bucket_path(work: Path, bucket: int) -> Path:
    """Return where the kept ids of one bucket stand."""
    return work / "counts" / f"kept-{bucket:04d}.blocks"


def lookup_path(work: Path, field: int) -> Path:
    """Return where the lookup file of a field stands."""
    return work / "counts" / f"lookup-{field:03d}.npy"


def table_lookup_path(work: Path, table: int) -> Path:
    """Return where the lookup file of the ids that a table knows stands."""
    return work / "counts" / f"lookup-table-{table:03d}.npy"


def _write_lookup(path: Path, ids: I64) -> None:
    if len(ids) and int(ids[-1]) - int(ids[0]) < _TABLE_BYTES_PER_ID * len(ids):
        # [first id as 8 bytes, then one byte for each id of the range]
        table = np.zeros(8 + int(ids[-1]) - int(ids[0]) + 1, np.uint8)
        table[:8] = ids[:1].view(np.uint8)
        table[8 + ids - ids[0]] = 1
        save_array(path, table)
    else:
        save_array(path, ids)


class VocabularyFilter:
    """Tells which ids of a field are in the vocabulary. The files are mapped, so processes share their pages."""

    def __init__(self, work: Path, schema: Schema) -> None:
        """Map the lookup files of all fields and tables."""
        fields, tables = range(len(schema.fields)), range(len(schema.tables))
        self._files: list[npt.NDArray[Any]] = [np.load(lookup_path(work, index), mmap_mode="r") for index in fields]
        self._tables: list[npt.NDArray[Any]] = [np.load(table_lookup_path(work, t), mmap_mode="r") for t in tables]
        self._table_of_field = [schema.tables.index(field.table) for field in schema.fields]

    def contains(self, field: int, ids: I64) -> npt.NDArray[np.bool_]:
        """Return for each id of the field whether it is kept: bool [N]."""
        found = _contains(self._files[field], ids)
        known = self._tables[self._table_of_field[field]]
        return found | _contains(known, ids) if len(known) else found


def _contains(file: npt.NDArray[Any], ids: I64) -> npt.NDArray[np.bool_]:
    if file.dtype == np.uint8:
        first = int(np.array(file[:8]).view(np.int64)[0])
        table = file[8:]
        inside = (ids >= first) & (ids <= first + len(table) - 1)
        found: npt.NDArray[np.bool_] = table[np.where(inside, ids - first, 0)].astype(np.bool_) & inside
        return found
    if not len(file):
        return np.zeros(len(ids), np.bool_)
    place = np.minimum(np.searchsorted(file, ids), len(file) - 1)
    matches: npt.NDArray[np.bool_] = file[place] == ids
    return matches
