"""Batches of rows: what a model is asked, and where its answers belong.

Rows whose user fields are equal share a group, so that a user is pooled once, wherever in a batch its rows stand::

    rows of the table   0 u1   1 u2   2 u1   3 u3   4 u2        rejected: 3
    groups              (u1: 0 2) (u2: 1 4)
    batch.rows          [0 2 1 4]
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.raw_scoring.row_features import RowFeatures
from esmm_dist.schema.fields import Field, Schema
from preprocess.read.flat.chosen_rows import content_keys

BATCH_ROWS = 8192
"""Rows that are scored at once. Fixed, so that neither ranks nor a resumption change which rows share a product."""


@dataclass(frozen=True, kw_only=True)
class RowBatch:
    """Some rows of a table as a batch."""

    batch: GroupedBatch
    """Its labels are all 0: nobody reads them"""
    rows: I64
    """int64 [B]: the row of the table that each impression is"""


def row_batches(features: RowFeatures, schema: Schema, most: int = BATCH_ROWS) -> Iterator[RowBatch]:
    """Yield the good rows of a table in batches of at most ``most`` rows, in the table's order.

    Args:
        features: features of the table's rows
        schema: their schema
        most: rows of a batch
    """
    for first in range(0, len(features.good), most):
        yield _batch(features, schema, features.good[first : first + most])


def _batch(features: RowFeatures, schema: Schema, rows: I64) -> RowBatch:
    user = features.user.take(rows)
    if schema.user_fields:
        _, first, group_of_row, sizes = np.unique(
            content_keys(user), return_index=True, return_inverse=True, return_counts=True
        )
        rows = rows[np.argsort(group_of_row, kind="stable")]
        user = user.take(first)
    else:
        sizes = np.array([len(rows)])
        user = user.take(np.zeros(1, np.int64))
    own = features.own.take(rows)
    batch = GroupedBatch(
        user_ids=user.ids,
        user_lengths=user.lengths.ravel().astype(np.int64),
        user_weights=user.values if _weighted(schema.user_fields) else None,
        impression_ids=own.ids,
        impression_lengths=own.lengths.ravel().astype(np.int64),
        impression_weights=own.values if _weighted(schema.impression_fields) else None,
        impressions_per_group=sizes.astype(np.int64),
        sample_ids=rows,
        labels=np.zeros((len(rows), len(schema.labels)), np.int64),
    )
    return RowBatch(batch=batch, rows=rows)


def _weighted(fields: tuple[Field, ...]) -> bool:
    return any(field.weighted for field in fields)
