"""From the columns of a request to a grouped batch of ids that the model knows.

A column becomes ids (``field_ids``), ids without a row are left out and counted, and what is left is put into the order
of a record: row after row, and within a row field after field.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F32, I64, Bools, Ids
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.schema.feature_id import missing_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.value_inputs import time_column
from esmm_dist.serving.requests.asked_columns import AskedColumn, AskedColumns
from esmm_dist.serving.requests.field_ids import NO_ID, BucketIds, CategoryIds, CrossIds, TimeIds, WholeIds

Knows = Mapping[str, Callable[[Ids], Bools]]


@dataclass(frozen=True, kw_only=True)
class _FieldIds:
    """The ids of one field in the rows of its owner, by rows ascending."""

    rows: I64
    """int64 [N]"""
    ids: I64
    """int64 [N]"""
    missing: Bools | None
    """bool [N], ids that stand for a missing value; None: none does"""
    weights: F32 | None
    """float32 [N]; None: all 1"""


class ColumnBatches:
    """Makes batches of columns for one schema. Thread-safe; it remembers the ids of values."""

    def __init__(self, schema: Schema) -> None:
        """Prepare.

        Args:
            schema: schema of the model, with the edges of its numeric fields
        """
        self._schema, source = schema, schema.flat_source
        self._columns: dict[str, CategoryIds | BucketIds | WholeIds] = {}
        self._crosses: dict[str, CrossIds] = {}
        self._times: TimeIds | None = None
        for field in schema.fields:
            if source is None:
                self._columns[field.name] = WholeIds(field)
            elif field.cross:
                self._crosses[field.name] = CrossIds(field, [schema.field(name) for name in field.cross])
            elif field.is_column:
                self._columns[field.name] = (CategoryIds if field.numeric is None else BucketIds)(field, source)
        of_time = [field for field in schema.fields if field.of_time is not None]
        if of_time:
            assert source is not None  # only flat logs have times
            self._times, self._time_column = TimeIds(of_time, source), time_column(schema)

    def batch(self, asked: AskedColumns, knows: Knows) -> tuple[GroupedBatch, dict[str, int]]:
        """Return the batch of a request, and how many of each field's values the model does not know.

        Args:
            asked: columns of the request
            knows: for each table which of ids have a row

        Raises:
            BadRequestError: a value does not fit its field
        """
        groups, impressions = len(asked.candidates_of), int(asked.candidates_of.sum())
        one_hot = _OneHot(self, asked)
        found = {
            field.name: self._many(field, asked, rows) if field.multi_hot else self._one(field, one_hot, asked, rows)
            for fields, rows in ((self._schema.user_fields, groups), (self._schema.impression_fields, impressions))
            for field in fields
        }
        known, unknown = _known(self._schema.fields, found, knows)
        user_ids, user_lengths, user_weights = _lists(self._schema.user_fields, found, known, groups)
        own_ids, own_lengths, own_weights = _lists(self._schema.impression_fields, found, known, impressions)
        batch = GroupedBatch(
            user_ids=user_ids,
            user_lengths=user_lengths,
            user_weights=user_weights,
            impression_ids=own_ids,
            impression_lengths=own_lengths,
            impression_weights=own_weights,
            impressions_per_group=asked.candidates_of,
            sample_ids=np.arange(impressions),
            labels=np.zeros((impressions, len(self._schema.labels)), np.int64),
        )
        return batch, unknown

    def column_ids(self, field: Field, column: AskedColumn) -> I64:
        """Return the id of each value of a column, -1 where there is none: int64 [N]."""
        return self._columns[field.name].read(column)

    def cross_ids(self, field: Field, parts: Sequence[I64]) -> I64:
        """Return the ids of a cross from those of its parts, int64 [rows]."""
        return self._crosses[field.name].of(parts)

    def time_ids(self, asked: AskedColumns, rows: int) -> dict[str, I64]:
        """Return the ids of the hours and weekdays, int64 [rows] by field."""
        assert self._times is not None  # the caller has a field of it
        column = asked.columns.get(self._time_column)
        if column is None:
            none = np.full(rows, NO_ID)
            return {field.name: none for field in self._schema.fields if field.of_time is not None}
        return self._times.read(column)

    def field(self, name: str) -> Field:
        """Return the field of a name."""
        return self._schema.field(name)

    def _one(self, field: Field, one_hot: "_OneHot", asked: AskedColumns, rows: int) -> _FieldIds:
        ids = one_hot.ids(field, rows)
        column = asked.columns.get(field.name)
        weights = column.weights if column is not None and field.weighted else None
        absent: Bools = ids == NO_ID
        if not absent.any():
            return _FieldIds(rows=np.arange(rows), ids=ids, missing=None, weights=weights)
        if field.missing == "id" and not field.cross:
            ids = np.where(absent, missing_id(field.id_space), ids)
            return _FieldIds(rows=np.arange(rows), ids=ids, missing=absent, weights=weights)
        present = np.flatnonzero(~absent)
        return _FieldIds(
            rows=present, ids=ids[present], missing=None, weights=None if weights is None else weights[present]
        )

    def _many(self, field: Field, asked: AskedColumns, rows: int) -> _FieldIds:
        column = asked.columns.get(field.name)
        if column is None:
            row_of, ids, weights = np.zeros(0, np.int64), np.zeros(0, np.int64), None
        else:
            assert column.lengths is not None  # of a multi-hot field
            ids, weights = self.column_ids(field, column), column.weights
            row_of = np.repeat(np.arange(rows), column.lengths)
            absent: Bools = ids == NO_ID
            if absent.any():
                present = np.flatnonzero(~absent)
                row_of, ids = row_of[present], ids[present]
                weights = None if weights is None else weights[present]
        if field.missing != "id":
            return _FieldIds(rows=row_of, ids=ids, missing=None, weights=weights)
        empty = np.flatnonzero(np.bincount(row_of, minlength=rows) == 0)
        if not len(empty):
            return _FieldIds(rows=row_of, ids=ids, missing=None, weights=weights)
        all_rows = np.concatenate([row_of, empty])
        order = np.argsort(all_rows, kind="stable")
        with_missing = np.concatenate([ids, np.full(len(empty), missing_id(field.id_space))])
        if weights is not None:
            weights = np.concatenate([weights, np.ones(len(empty), np.float32)])[order]
        missing = np.arange(len(all_rows)) >= len(row_of)
        return _FieldIds(rows=all_rows[order], ids=with_missing[order], missing=missing[order], weights=weights)


class _OneHot:
    """The ids of the fields of one request that have one value a row; parts of crosses are read once."""

    def __init__(self, batches: ColumnBatches, asked: AskedColumns) -> None:
        self._batches, self._asked = batches, asked
        self._found: dict[str, I64] = {}

    def ids(self, field: Field, rows: int) -> I64:
        """Return the id of each row of the field's owner, -1 where there is none: int64 [rows]."""
        if field.name not in self._found:
            if field.of_time is not None:
                self._found |= self._batches.time_ids(self._asked, rows)
            elif field.cross:
                parts = [self._part(self._batches.field(name), field, rows) for name in field.cross]
                self._found[field.name] = self._batches.cross_ids(field, parts)
            else:
                column = self._asked.columns.get(field.name)
                none = np.full(rows, NO_ID)
                self._found[field.name] = none if column is None else self._batches.column_ids(field, column)
        return self._found[field.name]

    def _part(self, part: Field, field: Field, rows: int) -> I64:
        if part.owner == "user" and field.owner != "user":
            candidates = self._asked.candidates_of
            return np.repeat(self.ids(part, len(candidates)), candidates)
        return self.ids(part, rows)


def _known(
    fields: Sequence[Field], found: Mapping[str, _FieldIds], knows: Knows
) -> tuple[dict[str, Bools], dict[str, int]]:
    """Return which ids of each field have a row, and how many values of each field have none; a table is asked once."""
    known: dict[str, Bools] = {}
    unknown: dict[str, int] = {}
    for table in dict.fromkeys(field.table for field in fields):
        own = [field for field in fields if field.table == table]
        has_row = knows[table](np.concatenate([found[field.name].ids for field in own]))
        whole, begin = bool(has_row.all()), 0
        for field in own:
            ids = found[field.name]
            known[field.name] = mask = has_row[begin : begin + len(ids.ids)]
            begin += len(ids.ids)
            if not whole:
                lacking = ~mask if ids.missing is None else ~mask & ~ids.missing
                if count := int(np.count_nonzero(lacking)):
                    unknown[field.name] = count
    return known, unknown


def _lists(
    fields: Sequence[Field], found: Mapping[str, _FieldIds], known: Mapping[str, Bools], rows: int
) -> tuple[I64, I64, F32 | None]:
    """Return the known ids of one owner's fields as records have them: ids, lengths [rows * F] and weights."""
    if not fields:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), None
    each = [found[field.name] for field in fields]
    number = len(fields)
    mask = np.concatenate([known[field.name] for field in fields])
    segments = np.concatenate([ids.rows * number + place for place, ids in enumerate(each)])
    all_ids = np.concatenate([ids.ids for ids in each])
    weights = None
    if any(field.weighted for field in fields):
        weights = np.concatenate(
            [np.ones(len(ids.ids), np.float32) if ids.weights is None else ids.weights for ids in each]
        )
    if not mask.all():
        segments, all_ids = segments[mask], all_ids[mask]
        weights = None if weights is None else weights[mask]
    if rows > 1:
        order = np.argsort(segments, kind="stable")
        segments, all_ids = segments[order], all_ids[order]
        weights = None if weights is None else weights[order]
    return all_ids, np.bincount(segments, minlength=rows * number), weights
