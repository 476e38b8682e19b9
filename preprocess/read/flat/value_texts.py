"""Turn whole columns of values into texts, of which ``esmm_dist.schema.feature_id.value_text`` makes the same text."""

import numpy as np
import pyarrow as pa

from esmm_dist.arrays import I64, Bools
from esmm_dist.schema.feature_id import may_have_lost_digits, value_text
from preprocess.read.flat.column_types import plain
from preprocess.read.flat.compute import pc

_TIMES = (pa.types.is_date, pa.types.is_time, pa.types.is_timestamp)


def written_texts(column: pa.Array) -> tuple[pa.Array, Bools]:
    """Return the values of a column as texts, string [N]: of a text column as they are written; and which lost digits.

    Args:
        column: values of any type that ``column_types.is_value`` knows

    Returns:
        The texts, null where there is no value; and bool [N], true for floats that are too large for their type.
    """
    column = plain(column)
    kind = column.type
    lost = np.zeros(len(column), np.bool_)
    if pa.types.is_integer(kind) or pa.types.is_null(kind):
        return column.cast(pa.string()), lost
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.cast(pa.string()), lost
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        texts = column.cast(pa.timestamp(kind.unit)).cast(pa.string())  # without the zone it is UTC
        return _each(pc.binary_join_element_wise(texts, "+00:00", ""))
    if any(is_time(kind) for is_time in _TIMES):
        return _each(column.cast(pa.string()))
    return _each(column)


def _each(column: pa.Array) -> tuple[pa.Array, Bools]:
    """Apply ``value_text`` and ``may_have_lost_digits`` to each distinct value."""
    codes, values = _distinct(column)
    texts = pa.array([value_text(value) for value in values], pa.string())
    lost = np.array([may_have_lost_digits(value) for value in values], np.bool_)
    index = pa.array(codes, mask=codes < 0)
    return texts.take(index), np.append(lost, False)[codes]  # code -1: null


def _distinct(column: pa.Array) -> tuple[I64, list[object]]:
    """Return each value's index among the distinct ones (-1: null), and those, floats in their own width."""
    if pa.types.is_floating(column.type):
        present = np.asarray(column.is_valid())
        numbers = column.to_numpy(zero_copy_only=False)[present]
        unique, inverse = np.unique(numbers.astype(column.type.to_pandas_dtype()), return_inverse=True)
        codes = np.full(len(column), -1, np.int64)
        codes[present] = inverse
        return codes, list(unique)
    encoded = column.dictionary_encode()
    return np.asarray(encoded.indices.fill_null(-1)).astype(np.int64), encoded.dictionary.to_pylist()
