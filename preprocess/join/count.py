"""Stage 3: count the impressions of the train split that hold each id."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.hashing import mix64
from esmm_dist.schema.fields import Schema
from preprocess.join.partition import PartitionSource, load_partition
from preprocess.read.feature_rows import FeatureRows, index_dtype, splits_of
from preprocess.work.blocks import Column, write_blocks
from preprocess.work.workers import Result

_FEWEST_SLOTS = 1 << 12  # of the hash table of a field; it grows with the ids


def count_partition(work: Path, schema: Schema, source: PartitionSource, buckets: int) -> Result:
    """Count the ids of one partition; write (field, id, count) partitioned by id into ``buckets``.

    Ids of a field that has those of another one (``ids_of``) are counted as that one's.
    """
    partition = load_partition(work, source)
    fields, ids, counts = [], [], []
    field_dtype = index_dtype(len(schema.fields))
    parts = [
        (schema.user_fields, partition.common, partition.uses()),
        (
            schema.impression_fields,
            partition.impressions.features,
            np.ones(len(partition.impressions.keys), np.int64),
        ),
    ]
    for owned, rows, uses in parts:
        for field, (field_ids, field_counts) in zip(owned, count_fields(rows, uses), strict=True):
            fields.append(np.full(len(field_ids), schema.id_space_index(field), field_dtype))
            ids.append(field_ids)
            counts.append(field_counts)
    all_ids = np.concatenate(ids)
    bucket = (mix64(all_ids.astype(np.uint64)) % np.uint64(buckets)).astype(index_dtype(buckets))
    order = np.argsort(bucket, kind="stable")
    splits = splits_of(np.bincount(bucket, minlength=buckets))
    write_blocks(
        counts_path(work, source.name),
        {
            "field": Column(data=np.concatenate(fields)[order], splits=splits),
            "id": Column(data=all_ids[order], splits=splits),
            "count": Column(data=np.concatenate(counts)[order], splits=splits),
        },
    )
    return {"entries": len(all_ids)}


def count_fields(rows: FeatureRows, uses: I64) -> Iterator[tuple[I64, I64]]:
    """Count the ids of each field: an id counts once for each use of a row that holds it, however often it does.

    Args:
        rows: R rows, fewer than 2^31, with as many uses in all
        uses: weight of each row, int64 [R]; rows of weight 0 do not count

    Yields:
        For each field its ids, in any order, and their counts: int64 [U] each.
    """
    from preprocess.join.count_kernel import copy_counts, count_rows  # loads Numba

    begins = rows.row_splits[:-1].copy()
    lengths, ids = np.ascontiguousarray(rows.lengths), np.ascontiguousarray(rows.ids)
    for field in range(lengths.shape[1]):
        table = np.zeros((_FEWEST_SLOTS, 2), np.int64)
        state = np.zeros(2, np.int64)
        count_rows((lengths, ids, begins), field, uses, table, state)
        while state[0] < len(uses):
            larger = np.zeros((2 * len(table), 2), np.int64)
            copy_counts(table, larger)
            table = larger
            count_rows((lengths, ids, begins), field, uses, table, state)
        found = table[table[:, 1] != 0]
        yield found[:, 0], found[:, 1] >> 32


def counts_path(work: Path, name: str) -> Path:
    """Return the path of the counts of a partition."""
    return work / "counts" / f"{name}.counts"
