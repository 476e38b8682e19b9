"""Read the fields of a flat log: categories, numbers in buckets, crosses of one-hot fields, hours and weekdays."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from esmm_dist.arrays import I64
from esmm_dist.schema.feature_id import cross_id, feature_id, missing_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.local_time import LocalTimes
from esmm_dist.schema.sources import FlatSource
from preprocess.read.feature_rows import FeatureEntries, FeatureRows, index_dtype
from preprocess.read.flat.columns import RowReasons, read_category, read_column
from preprocess.read.flat.local_time import read_times
from preprocess.read.flat.number_column import read_numbers
from preprocess.read.rejects import Reason

_NO_ID = -1
_PARTS = 24  # more hours than weekdays


class FieldReader:
    """Reads the features of some rows; a field that is part of a cross is read once."""

    def __init__(self, table: pa.Table, schema: Schema, reasons: RowReasons) -> None:
        """Remember what is read.

        Args:
            table: rows of the log
            schema: its schema, with the edges of its numeric fields
            reasons: receives the rejected rows
        """
        source = schema.flat_source
        assert source is not None  # only flat logs have columns
        self._table, self._schema, self._reasons = table, schema, reasons
        self._source: FlatSource = source
        self._one_hot: dict[str, I64] = {}
        self._times: LocalTimes | None = None
        self._crossed = {part for field in schema.fields for part in field.cross}

    def read(self, fields: Sequence[Field]) -> FeatureRows:
        """Return the features of all fields of one owner; rows that do not fit them are rejected."""
        parts = [self.entries(field, index) for index, field in enumerate(fields)]
        entries = FeatureEntries(
            row=np.concatenate([np.zeros(0, np.int64), *(part.row for part in parts)]),
            field=np.concatenate([np.zeros(0, index_dtype(len(fields))), *(part.field for part in parts)]),
            ids=np.concatenate([np.zeros(0, np.int64), *(part.ids for part in parts)]),
            values=np.concatenate([np.zeros(0, np.float32), *(part.values for part in parts)]),
        )
        return entries.in_order(np.arange(self._table.num_rows), len(fields))

    def entries(self, field: Field, index: int) -> FeatureEntries:
        """Return the features of one field; rows that do not fit it are rejected.

        Args:
            field: field of the schema
            index: place of the field among those of its owner
        """
        if not field.is_category or field.name in self._crossed:
            return _entries(self._ids(field), index)
        entries = read_category(self._table, field, index, self._source, self._reasons)
        if field.missing == "none":
            return entries
        empty = np.ones(self._table.num_rows, np.bool_)
        empty[entries.row] = False
        rows = np.flatnonzero(empty)
        return FeatureEntries(
            row=np.concatenate([entries.row, rows]),
            field=np.full(len(entries.row) + len(rows), index, entries.field.dtype),
            ids=np.concatenate([entries.ids, np.full(len(rows), missing_id(field.id_space), np.int64)]),
            values=np.concatenate([entries.values, np.ones(len(rows), np.float32)]),
        )

    def _ids(self, field: Field) -> I64:
        """Return the id of each row of a field that has at most one, or ``_NO_ID``; int64 [rows]."""
        if field.name not in self._one_hot:
            read = self._cross_ids if field.cross else self._time_ids if field.of_time else self._column_ids
            self._one_hot[field.name] = read(field)
        return self._one_hot[field.name]

    def _column_ids(self, field: Field) -> I64:
        if field.numeric is not None:
            column = read_column(self._table, field.name)
            numbers = read_numbers(column, self._source, self._reasons.of(field.name))
            present = ~np.isnan(numbers)
            ids = np.where(present, field.numeric.ids(field.name)[field.numeric.of(numbers) * present], _NO_ID)
        else:
            entries = read_category(self._table, field, 0, self._source, self._reasons)
            ids = np.full(self._table.num_rows, _NO_ID, np.int64)
            ids[entries.row] = entries.ids  # of a row with several, which is rejected, the last
        return np.where(ids == _NO_ID, missing_id(field.id_space), ids) if field.missing == "id" else ids

    def _time_ids(self, field: Field) -> I64:
        """Return the ids of hours or weekdays; rows whose time cannot be read, or has no hour, are rejected."""
        times = self._read_times()
        has_part = times.is_time if field.of_time == "weekday" else times.has_hour
        assert self._source.time is not None  # checked by the schema
        bad = np.flatnonzero(~has_part & ~times.is_missing)
        self._reasons.of(self._source.time).add(bad, Reason.BAD_TIME)
        parts = times.weekday if field.of_time == "weekday" else times.hour
        ids = np.array([feature_id(field.name, part) for part in range(_PARTS)], np.int64)[parts * has_part]
        return np.where(has_part, ids, missing_id(field.name) if field.missing == "id" else _NO_ID)

    def _read_times(self) -> LocalTimes:
        if self._times is None:
            assert self._source.time is not None  # checked by the schema
            self._times = read_times(read_column(self._table, self._source.time), self._source)
        return self._times

    def _cross_ids(self, field: Field) -> I64:
        parts = [self._schema.field(name) for name in field.cross]
        columns = [self._ids(part) for part in parts]
        whole = np.ones(self._table.num_rows, np.bool_)
        if field.missing == "none":
            # A part whose own missing value is an id has one here too, and is missing all the same
            for part, column in zip(parts, columns, strict=True):
                whole &= (column != _NO_ID) & (column != missing_id(part.id_space))
        columns = [
            np.where(column == _NO_ID, missing_id(part.id_space), column)
            for part, column in zip(parts, columns, strict=True)
        ]
        pairs, place = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
        ids = np.array([cross_id(field.name, pair) for pair in pairs.tolist()], np.int64)
        return np.where(whole, ids[place.ravel()], _NO_ID)


def _entries(ids: I64, index: int) -> FeatureEntries:
    row = np.flatnonzero(ids != _NO_ID)
    return FeatureEntries(
        row=row,
        field=np.full(len(row), index, index_dtype(index + 1)),
        ids=ids[row],
        values=np.ones(len(row), np.float32),
    )
