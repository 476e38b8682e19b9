"""Stage 4: the vocabulary: ids that enough train impressions hold.

``vocabulary.parquet`` lists them by field (in schema order), then by id. For the filter, each field also has a lookup
file that workers map into memory, so that they share it: a table of one byte an id where the ids stand close together
(about 10 ns a lookup), else the sorted ids (binary search, about 250 ns).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.errors import ConfigError
from esmm_dist.schema.fields import Schema
from preprocess.blocks import Column, read_block, write_blocks
from preprocess.count import counts_path
from preprocess.repeats import save_array
from preprocess.workers import Result

I64 = npt.NDArray[np.int64]

VOCABULARY_NAME = "vocabulary.parquet"
_COLUMNS = ("field", "id", "count")
_TABLE_BYTES_PER_ID = 16  # a table may be twice as large as the sorted ids would be
_SORT_BYTES_PER_ID = 64  # measured peak of gathering and sorting one field


def merge_counts(work: Path, names: Sequence[str], bucket: int, num_fields: int, min_count: int) -> Result:
    """Add up the counts of one bucket over all partitions; write the ids that reach ``min_count``, by field.

    Returns:
        For each field: ids and occurrences that were dropped, and ids that were kept.
    """
    blocks = [read_block(counts_path(work, name), bucket, _COLUMNS) for name in names]
    field, ids, counts = (np.concatenate([block[name] for block in blocks]) for name in _COLUMNS)
    order = np.lexsort((ids, field))
    field, ids, counts = field[order], ids[order], counts[order]
    first = np.ones(len(ids), np.bool_)
    first[1:] = (ids[1:] != ids[:-1]) | (field[1:] != field[:-1])
    starts = np.flatnonzero(first)
    totals = np.add.reduceat(counts, starts) if len(starts) else counts
    field, ids = field[starts], ids[starts]
    kept = totals >= min_count
    splits = np.searchsorted(field[kept], np.arange(num_fields + 1)).astype(np.int64)
    write_blocks(
        bucket_path(work, bucket),
        {"id": Column(data=ids[kept], splits=splits), "count": Column(data=totals[kept], splits=splits)},
    )
    return {
        "dropped_ids": np.bincount(field[~kept], minlength=num_fields).tolist(),
        "dropped_occurrences": np.bincount(field[~kept], weights=totals[~kept], minlength=num_fields)
        .astype(np.int64)
        .tolist(),
        "kept_ids": np.diff(splits).tolist(),
    }


def write_vocabulary(
    path: Path, work: Path, schema: Schema, buckets: int, kept_ids: Sequence[int], memory_bytes: int
) -> None:
    """Write ``vocabulary.parquet`` (at ``path``) and the lookup files.

    Raises:
        ConfigError: The ids of one field do not fit ``memory_bytes`` while they are sorted.
    """
    table_schema = pa.schema(
        [("feature_id", pa.int64()), ("field", pa.dictionary(pa.int32(), pa.string())), ("count", pa.int64())]
    )
    names = pa.array([field.name for field in schema.fields], pa.string())
    temporary = work / f"{VOCABULARY_NAME}.tmp"
    with pq.ParquetWriter(temporary, table_schema, compression="zstd") as writer:
        for index, field in enumerate(schema.fields):
            need = kept_ids[index] * _SORT_BYTES_PER_ID
            if need > memory_bytes:
                raise ConfigError(
                    f"Field '{field.name}' keeps {kept_ids[index]} ids; sorting them takes {need / 1e9:.1f} GB, more "
                    "than memory_gb leaves. Raise memory_gb or min_count."
                )
            blocks = [read_block(bucket_path(work, bucket), index, ("id", "count")) for bucket in range(buckets)]
            ids = np.concatenate([block["id"] for block in blocks])
            counts = np.concatenate([block["count"] for block in blocks])
            order = np.argsort(ids, kind="stable")
            ids, counts = ids[order], counts[order]
            codes = pa.DictionaryArray.from_arrays(pa.array(np.full(len(ids), index, np.int32)), names)
            writer.write_table(pa.table([pa.array(ids), codes, pa.array(counts)], schema=table_schema))
            _write_lookup(lookup_path(work, index), ids)
    temporary.replace(path)


def bucket_path(work: Path, bucket: int) -> Path:
    """Return where the kept ids of one bucket stand."""
    return work / "counts" / f"kept-{bucket:04d}.blocks"


def lookup_path(work: Path, field: int) -> Path:
    """Return where the lookup file of a field stands."""
    return work / "counts" / f"lookup-{field:03d}.npy"


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

    def __init__(self, work: Path, num_fields: int) -> None:
        """Map the lookup files of all fields."""
        self._files: list[npt.NDArray[Any]] = [
            np.load(lookup_path(work, index), mmap_mode="r") for index in range(num_fields)
        ]

    def contains(self, field: int, ids: I64) -> npt.NDArray[np.bool_]:
        """Return for each id of the field whether it is kept: bool [N]."""
        file = self._files[field]
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
