"""Turn the columns of a flat log into features, labels and sample ids.

What a column may be: a value (one id), a list of values (many ids), a text of ids between separators (many ids); and
where the field is weighted, texts ``id:weight``, or pairs (a list of two-field structs, or a map). Null, NaN and the
empty text mean that there is no id. ``column_types`` lists the types, ``esmm_dist.schema.feature_id`` the ids.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from esmm_dist.arrays import F32, F64, I64, U8, Bools
from esmm_dist.schema.feature_id import feature_id, hashed_id, may_have_lost_digits, value_text
from esmm_dist.schema.fields import Field
from esmm_dist.schema.impression_text import END_OF_NAME, with_kept
from esmm_dist.schema.number_text import with_point
from esmm_dist.schema.sources import FlatSource
from preprocess.read.feature_rows import FeatureEntries, index_dtype
from preprocess.read.flat.column_types import is_list, plain
from preprocess.read.flat.compute import pc
from preprocess.read.flat.value_texts import written_texts
from preprocess.read.numbers import MAX_ID, parse_value
from preprocess.read.rejects import Reason
from preprocess.read.texts import Texts

_LABELS = {"0": 0, "1": 1, "false": 0, "true": 1}


class RowReasons:
    """The first reason why each row is rejected, if any, and the column that is it; and what else is to be told."""

    def __init__(self, column: str = "", others: "RowReasons | None" = None) -> None:
        """Begin without rejects, or go on with those of other columns."""
        self._column = column
        self.of_row: dict[int, tuple[Reason, str]] = others.of_row if others is not None else {}
        self.lost_digits: Counter[str] = others.lost_digits if others is not None else Counter()
        """For each column its floats that may stand for several whole numbers."""

    def of(self, column: str) -> "RowReasons":
        """Return the same rejects, where those added are because of a column."""
        return RowReasons(column, self)

    def add(self, rows: I64, reason: Reason) -> None:
        """Reject rows; those that are rejected already keep their reason."""
        for row in rows.tolist():
            self.of_row.setdefault(row, (reason, self._column))


@dataclass(frozen=True, kw_only=True)
class _Items:
    """The values of a column that may be ids."""

    row: I64
    """int64 [N]"""
    texts: pa.Array
    """string [N], as they are written; null: no value"""
    lost: Bools
    """bool [N]: floats that are too large for their type"""
    weights: pa.Array | None
    """[N], of any type of values; None: all 1"""

    def select(self, mask: Bools) -> "_Items":
        """Return the items where ``mask`` (bool [N]) is true."""
        kept = pa.array(mask)
        weights = None if self.weights is None else self.weights.filter(kept)
        return _Items(row=self.row[mask], texts=self.texts.filter(kept), lost=self.lost[mask], weights=weights)


def read_column(table: pa.Table, column: str) -> pa.Array:
    """Return a column as one array; the table has it once (``header.check_columns``)."""
    array = table.column(column).combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # a table without rows has no chunk to combine
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array


def read_labels(table: pa.Table, source: FlatSource, labels: tuple[str, ...], reasons: RowReasons) -> U8:
    """Return the labels, uint8 [rows, labels].

    Rows with something else than 0, 1, true, false and what ``source.label_values`` lists are rejected.
    """
    columns = []
    for label in labels:
        column = source.labels[label]
        codes, texts = distinct_texts(written_texts(read_column(table, column))[0], source)
        of_row = np.array([*(_label(text, source) for text in texts), source.label_values.get("", -1)], np.int64)[codes]
        reasons.of(column).add(np.flatnonzero(of_row < 0), Reason.BAD_LABEL)
        columns.append(np.maximum(of_row, 0).astype(np.uint8))
    return np.stack(columns, axis=1)


def read_sample_ids(table: pa.Table, column: str, source: FlatSource, reasons: RowReasons) -> I64:
    """Return the sample ids, int64 [rows]; rows whose id is no whole number are rejected."""
    written, lost = written_texts(read_column(table, column))
    codes, texts = distinct_texts(written, source)
    of_row: I64 = np.array([*map(sample_number, texts), -1], np.int64)[codes]
    lost |= np.array([*map(may_have_lost_digits, texts), False])[codes]
    reasons.lost_digits[column] += int(lost.sum())
    reasons.of(column).add(np.flatnonzero(of_row < 0), Reason.BAD_SAMPLE_ID)
    return np.maximum(of_row, 0)


def read_sample_names(table: pa.Table, column: str, reasons: RowReasons) -> tuple[I64, Texts]:
    """Return the texts that name the rows, and their hashes, int64 [rows]; rows without one are rejected."""
    written, lost = written_texts(read_column(table, column))
    names = Texts.of(written)
    reasons.lost_digits[column] += int(lost.sum())
    listed = names.to_list()
    bad = [not name or END_OF_NAME in name for name in listed]
    reasons.of(column).add(np.flatnonzero(bad), Reason.BAD_SAMPLE_ID)
    return np.array([hashed_id(name) for name in listed], np.int64), names


def with_kept_columns(table: pa.Table, columns: Sequence[str], names: Texts | None) -> Texts:
    """Return the names of the rows with the values of some columns behind them (``impression_text``).

    Args:
        table: rows of the log
        columns: columns to keep
        names: names of the rows; None: numbers name them
    """
    texts = [written_texts(read_column(table, column))[0].to_pylist() for column in columns]
    kept = [[text or None for text in column] for column in texts]
    begin = [b""] * table.num_rows if names is None else names.to_list()
    return Texts.of(pa.array(map(with_kept, begin, zip(*kept, strict=True)), pa.binary()))


def read_sample_weights(table: pa.Table, column: str, source: FlatSource, reasons: RowReasons) -> F32:
    """Return the sample weights, float32 [rows]; rows whose weight is no finite number of 0 or more are rejected."""
    weights = plain(read_column(table, column))
    return _weights(np.arange(table.num_rows), weights, source, reasons.of(column))


def read_category(table: pa.Table, field: Field, index: int, source: FlatSource, reasons: RowReasons) -> FeatureEntries:
    """Return the features of a column of categories; rows that do not fit the field are rejected.

    Args:
        table: rows of the log
        field: the field, whose name is its column's
        index: place of the field among those of its owner
        source: says the separators
        reasons: receives the rejected rows
    """
    reasons = reasons.of(field.name)
    items = _items(plain(read_column(table, field.name)), field, source, reasons)
    codes, texts = distinct_texts(items.texts, source)
    found = [feature_id(field.id_space, text) for text in texts]
    ids = np.array([*(-1 if number is None else number for number in found), -1], np.int64)[codes]
    lost = np.array([*map(may_have_lost_digits, texts), False])[codes] | items.lost
    reasons.lost_digits[field.name] += int(lost.sum())
    present = ids >= 0
    items = items.select(present)
    values = np.ones(len(items.row), np.float32)
    if items.weights is not None:
        values = _weights(items.row, items.weights, source, reasons)
    if not field.multi_hot:
        counts = np.bincount(items.row, minlength=table.num_rows)
        reasons.add(np.flatnonzero(counts > 1), Reason.SEVERAL_IDS)
    return FeatureEntries(
        row=items.row, field=np.full(len(items.row), index, index_dtype(index + 1)), ids=ids[present], values=values
    )


def _items(column: pa.Array, field: Field, source: FlatSource, reasons: RowReasons) -> _Items:
    rows = np.arange(len(column))
    if pa.types.is_map(column.type):
        rows, column = _flatten(
            column.cast(pa.list_(pa.struct([("id", column.type.key_type), ("weight", column.type.item_type)])))
        )
    elif is_list(column.type):
        rows, column = _flatten(column)
    elif field.multi_hot and not pa.types.is_struct(column.type):
        rows, column = _flatten(pc.split_pattern(written_texts(column)[0], source.list_separator))
    column, weights = plain(column), None
    if pa.types.is_struct(column.type):
        column, weights = column.flatten()  # a null pair has a null id
    texts, lost = written_texts(column)
    if field.weighted and weights is None:
        texts, weights = _split_weights(rows, texts, source.weight_separator, reasons)
    return _Items(row=rows, texts=texts, lost=lost, weights=plain(weights) if field.weighted else None)


def _flatten(lists: pa.Array) -> tuple[I64, pa.Array]:
    # Not list_parent_indices: it counts the items that may lie under a null, which list_flatten leaves out.
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64)
    return np.repeat(np.arange(len(lists)), lengths), pc.list_flatten(lists)


def _split_weights(rows: I64, texts: pa.Array, separator: str, reasons: RowReasons) -> tuple[pa.Array, pa.Array]:
    """Cut ``id:weight`` at the last separator; texts without one are rejected."""
    parts = pc.split_pattern(texts, separator, max_splits=1, reverse=True)
    lengths = np.asarray(pc.fill_null(pc.list_value_length(parts), 0))
    empty = np.asarray(pc.fill_null(pc.equal(pc.binary_length(texts), 0), True))
    reasons.add(rows[(lengths != 2) & ~empty], Reason.BAD_FEATURE)
    whole = pa.array(lengths == 2)
    pair = pc.if_else(whole, parts, pa.scalar(["", ""], parts.type))
    return pc.list_element(pair, 0), pc.list_element(pair, 1)


def _weights(row: I64, weights: pa.Array, source: FlatSource, reasons: RowReasons) -> F32:
    if pa.types.is_floating(weights.type):  # as texts they would lose NaN
        return _float_weights(row, np.asarray(weights.cast(pa.float64()).fill_null(np.nan)), reasons)
    codes, texts = distinct_texts(written_texts(weights)[0], source)
    parsed = [parse_value(text.encode()) for text in texts]
    values = np.array([1.0 if isinstance(value, Reason) else value for value in parsed], np.float64)
    for code, value in enumerate(parsed):
        if isinstance(value, Reason):
            reasons.add(row[codes == code], value)
    reasons.add(row[codes < 0], Reason.NON_NUMERIC_VALUE)
    with_null = np.append(values, 1.0)  # code -1
    return with_null[codes].astype(np.float32)


def _float_weights(row: I64, values: F64, reasons: RowReasons) -> F32:
    reasons.add(row[values < 0], Reason.NEGATIVE_VALUE)
    good = values <= np.finfo(np.float32).max
    reasons.add(row[~good], Reason.NOT_FINITE_VALUE)
    return np.where(good, values, 0).astype(np.float32)


def distinct_texts(texts: pa.Array, source: FlatSource) -> tuple[I64, list[str]]:
    """Return each text's index among the distinct ones (-1: null), and those, decimal commas made points."""
    encoded = texts.dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    if source.decimal == ",":
        distinct = [with_point(text) for text in distinct]
    return np.asarray(encoded.indices.fill_null(-1)).astype(np.int64), distinct


def _label(text: str, source: FlatSource) -> int:
    """Return the label that a text is, or -1."""
    plain_text = value_text(text) or ""  # "2.0" is the 2 that is listed
    declared = source.label_values.get(text, source.label_values.get(plain_text))
    return _LABELS.get(plain_text.lower(), -1) if declared is None else declared


def sample_number(text: str) -> int:
    """Return the whole number that a text is, or -1."""
    number = value_text(text) or ""
    good = number.isascii() and number.isdigit() and len(number) <= 19 and int(number) <= MAX_ID
    return int(number) if good else -1
