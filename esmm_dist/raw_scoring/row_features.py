"""The features of rows of a log, as a data set of the same rows would hold them for the same model.

A data set drops the ids that are neither frequent in its train split nor known from before; one that is made with
``--vocabulary RUN`` of a log without a train split keeps exactly the ids that have a row in the run's checkpoint. So
does scoring: an id without a row is left out, in front of the cut to ``max_ids``, as if the log did not hold it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from esmm_dist.arrays import I64, Bools
from esmm_dist.inference.row_ids import RowIds
from esmm_dist.schema.fields import Field, Schema
from preprocess.read.feature_rows import FeatureRows
from preprocess.read.flat.columns import RowReasons
from preprocess.read.flat.field_reader import FieldReader


@dataclass(frozen=True, kw_only=True)
class RowFeatures:
    """What R rows hold, and which of them can be scored."""

    user: FeatureRows
    """R rows of ``Schema.user_fields``"""
    own: FeatureRows
    """R rows of ``Schema.impression_fields``"""
    good: I64
    """int64 [S], ascending: the rows that are not rejected"""


def read_features(table: pa.Table, schema: Schema, known: RowIds, reasons: RowReasons) -> RowFeatures:
    """Read the fields of all rows.

    Args:
        table: R rows
        schema: from ``scored_schema``
        known: ids that the model knows; others are left out
        reasons: rejected rows; receives those that do not fit their fields
    """
    reader = FieldReader(table, schema, reasons)
    user, own = reader.read(schema.user_fields), reader.read(schema.impression_fields)
    good = np.ones(table.num_rows, np.bool_)
    good[list(reasons.of_row)] = False
    return RowFeatures(
        user=_of_known_ids(user, schema.user_fields, known),
        own=_of_known_ids(own, schema.impression_fields, known),
        good=np.flatnonzero(good),
    )


def _of_known_ids(rows: FeatureRows, fields: Sequence[Field], known: RowIds) -> FeatureRows:
    tables = sorted({field.table for field in fields})
    kept: Bools = np.zeros(len(rows.ids), np.bool_)
    if len(tables) == 1:
        kept = known.contain(tables[0], rows.ids)
    else:
        table_of_field = np.array([tables.index(field.table) for field in fields], np.int64)
        table_of_feature = table_of_field[rows.field_of_feature()] if fields else np.zeros(0, np.int64)
        for number, table in enumerate(tables):
            places = np.flatnonzero(table_of_feature == number)
            kept[places] = known.contain(table, rows.ids[places])
    return rows if kept.all() else rows.keep(kept)
