"""Turn the columns of a flat log into features, labels and sample ids.

What a column may be: a number or a text (one id), a list (many ids), a text of ids between separators (many ids); and
where the field is weighted, texts ``id:weight``, or pairs (a list of two-field structs, or a map). Null, NaN and the
empty text mean that there is no id.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esmm_dist.schema.feature_id import feature_id
from esmm_dist.schema.fields import Field
from esmm_dist.schema.sources import FlatSource
from preprocess.feature_rows import FeatureEntries
from preprocess.raw_line import MAX_ID, parse_value
from preprocess.rejects import Reason

I64 = npt.NDArray[np.int64]

_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1, "False": 0, "True": 1}


class RowReasons:
    """The first reason why each row is rejected, if any."""

    def __init__(self) -> None:
        """Begin without rejects."""
        self.of_row: dict[int, Reason] = {}

    def add(self, rows: I64, reason: Reason) -> None:
        """Reject rows; those that are rejected already keep their reason."""
        for row in rows.tolist():
            self.of_row.setdefault(row, reason)


@dataclass(frozen=True, kw_only=True)
class _Items:
    """The ids of a column: ``row`` int64 [N], ``texts`` string [N], ``weights`` float or string [N], or None."""

    row: I64
    texts: pa.Array
    weights: pa.Array | None = None


def read_column(table: pa.Table, column: str) -> pa.Array:
    """Return a column as one array; the table has it once (``flat_header.check_columns``)."""
    array = table.column(column).combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # a table without rows has no chunk to combine
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def read_labels(
    table: pa.Table, source: FlatSource, labels: tuple[str, ...], reasons: RowReasons
) -> npt.NDArray[np.uint8]:
    """Return the labels, uint8 [rows, labels]; rows with something else than 0/1/true/false are rejected."""
    columns = []
    for label in labels:
        texts = _as_text(read_column(table, source.labels[label]))
        codes, values = _encode(texts, lambda text: _LABELS.get(text, -1))
        of_row = np.where(codes >= 0, values[codes] if len(values) else -1, -1)
        reasons.add(np.flatnonzero(of_row < 0), Reason.BAD_LABEL)
        columns.append(np.maximum(of_row, 0).astype(np.uint8))
    return np.stack(columns, axis=1)


def read_sample_ids(table: pa.Table, column: str, reasons: RowReasons) -> I64:
    """Return the sample ids, int64 [rows]; rows whose id is no whole number are rejected."""
    texts = _as_text(read_column(table, column))
    codes, values = _encode(texts, lambda text: int(text) if _is_id(text) else -1)
    of_row: I64 = np.where(codes >= 0, values[codes] if len(values) else -1, -1)
    reasons.add(np.flatnonzero(of_row < 0), Reason.BAD_SAMPLE_ID)
    return np.maximum(of_row, 0)


def read_field(table: pa.Table, field: Field, index: int, source: FlatSource, reasons: RowReasons) -> FeatureEntries:
    """Return the features of one field; rows that do not fit it are rejected.

    Args:
        table: Rows of the log.
        field: The field; its column has its name.
        index: Of the field among those of its owner.
        source: Says the separators.
        reasons: Where rejected rows are noted.
    """
    items = _items(read_column(table, field.name), field, source, reasons)
    codes, ids = _encode(items.texts, lambda text: feature_id(field.id_space, text))
    values = np.ones(len(items.row), np.float32)
    if items.weights is not None:
        values = _weights(items, reasons)
    if not field.multi_hot:
        counts = np.bincount(items.row, minlength=table.num_rows)
        reasons.add(np.flatnonzero(counts > 1), Reason.SEVERAL_IDS)
    return FeatureEntries(
        row=items.row,
        field=np.full(len(items.row), index, np.uint8),
        ids=ids[codes] if len(ids) else np.zeros(0, np.int64),
        values=values,
    )


def _items(column: pa.Array, field: Field, source: FlatSource, reasons: RowReasons) -> _Items:
    rows = np.arange(len(column))
    if pa.types.is_map(column.type):
        rows, column = _flatten(
            column.cast(pa.list_(pa.struct([("id", column.type.key_type), ("weight", column.type.item_type)])))
        )
    elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        rows, column = _flatten(column)
    elif field.multi_hot:
        rows, column = _flatten(pc.split_pattern(_as_text(column), source.list_separator))
    weights = None
    if pa.types.is_struct(column.type):
        texts, weights = _as_text(column.field(0)), (column.field(1) if field.weighted else None)
    else:
        texts = _as_text(column)
        if field.weighted:
            texts, weights = _split_weights(rows, texts, source.weight_separator, reasons)
    present = np.asarray(pc.fill_null(pc.greater(pc.binary_length(texts), 0), False))
    mask = pa.array(present)
    return _Items(
        row=rows[present], texts=texts.filter(mask), weights=None if weights is None else weights.filter(mask)
    )


def _flatten(lists: pa.Array) -> tuple[I64, pa.Array]:
    return np.asarray(pc.list_parent_indices(lists)).astype(np.int64), pc.list_flatten(lists)


def _split_weights(rows: I64, texts: pa.Array, separator: str, reasons: RowReasons) -> tuple[pa.Array, pa.Array]:
    """Cut ``id:weight`` at the last separator; texts without one are rejected."""
    parts = pc.split_pattern(texts, separator, max_splits=1, reverse=True)
    lengths = np.asarray(pc.fill_null(pc.list_value_length(parts), 0))
    empty = np.asarray(pc.fill_null(pc.equal(pc.binary_length(texts), 0), True))
    reasons.add(rows[(lengths != 2) & ~empty], Reason.BAD_FEATURE)
    whole = pa.array(lengths == 2)
    pair = pc.if_else(whole, parts, pa.scalar(["", ""], parts.type))
    return pc.list_element(pair, 0), pc.list_element(pair, 1)


def _weights(items: _Items, reasons: RowReasons) -> npt.NDArray[np.float32]:
    assert items.weights is not None
    if pa.types.is_floating(items.weights.type):  # as texts they would lose NaN
        return _float_weights(items.row, np.asarray(items.weights.cast(pa.float64()).fill_null(np.nan)), reasons)
    encoded = _as_text(items.weights).dictionary_encode()
    codes = np.asarray(encoded.indices.fill_null(-1)).astype(np.int64)
    parsed = [parse_value(text.encode()) for text in encoded.dictionary.to_pylist()]
    values = np.array([1.0 if isinstance(value, Reason) else value for value in parsed], np.float64)
    for code, value in enumerate(parsed):
        if isinstance(value, Reason):
            reasons.add(items.row[codes == code], value)
    reasons.add(items.row[codes < 0], Reason.NON_NUMERIC_VALUE)
    with_null = np.append(values, 1.0)  # code -1
    return with_null[codes].astype(np.float32)


def _float_weights(row: I64, values: npt.NDArray[np.float64], reasons: RowReasons) -> npt.NDArray[np.float32]:
    reasons.add(row[values < 0], Reason.NEGATIVE_VALUE)
    good = values <= np.finfo(np.float32).max
    reasons.add(row[~good], Reason.NOT_FINITE_VALUE)
    return np.where(good, values, 0).astype(np.float32)


def _as_text(column: pa.Array) -> pa.Array:
    """Return values as texts; whole numbers of a float column without their point, NaN as null."""
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
        values = np.asarray(column.fill_null(np.nan))
        texts = column.cast(pa.string())
        whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < 2**53)
        as_integers = pa.array(np.where(whole, values, 0).astype(np.int64)).cast(pa.string())
        texts = pc.if_else(pa.array(whole), as_integers, texts)
        return pc.if_else(pa.array(np.isnan(values)), pa.scalar(None, pa.string()), texts)
    return column.cast(pa.string())


def _encode(texts: pa.Array, function: Callable[[str], int]) -> tuple[I64, I64]:
    """Apply a function to each distinct text; return each text's index into the results (-1: null), and the results."""
    encoded = texts.dictionary_encode()
    codes = np.asarray(encoded.indices.fill_null(-1)).astype(np.int64)
    return codes, np.array([function(text) for text in encoded.dictionary.to_pylist()], np.int64)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= MAX_ID
