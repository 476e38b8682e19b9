"""Stage 3: count the impressions of the train split that hold each id."""

from pathlib import Path

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.hashing import mix64
from esmm_dist.schema.fields import Schema
from preprocess.join.partition import PartitionSource, load_partition
from preprocess.read.feature_rows import FeatureRows, index_dtype, splits_of
from preprocess.work.blocks import Column, write_blocks
from preprocess.work.workers import Result


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
        for index, field in enumerate(owned):
            field_ids, field_counts = count_field(rows, index, uses)
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


def count_field(rows: FeatureRows, field: int, uses: I64) -> tuple[I64, I64]:
    """Count the ids of one field: an id counts once for each use of a row that holds it, however often it does.

    Args:
        rows: R rows
        field: index of the field
        uses: weight of each row, int64 [R]; rows of weight 0 do not count

    Returns:
        The ids, ascending, and their counts: int64 [U] each.
    """
    mask = rows.field_of_feature() == field
    row = rows.row_of_feature()[mask]
    ids = rows.ids[mask]
    used = uses[row] > 0
    row, ids = row[used], ids[used]
    order = np.argsort(ids, kind="stable")  # rows ascend within an id, so its repeats in one row are neighbours
    row, ids = row[order], ids[order]
    again = np.zeros(len(ids), np.bool_)
    again[1:] = (ids[1:] == ids[:-1]) & (row[1:] == row[:-1])
    row, ids = row[~again], ids[~again]
    starts = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1]))) if len(ids) else np.zeros(0, np.int64)
    counts = np.add.reduceat(uses[row], starts) if len(ids) else np.zeros(0, np.int64)
    return ids[starts], counts


def counts_path(work: Path, name: str) -> Path:
    """Return the path of the counts of a partition."""
    return work / "counts" / f"{name}.counts"
