"""Read a column of numbers, whatever carries them, as float64."""

import math
import re

import numpy as np
import pyarrow as pa

from esmm_dist.arrays import F64
from esmm_dist.schema.feature_id import value_text
from esmm_dist.schema.number_text import number_of
from esmm_dist.schema.sources import FlatSource
from preprocess.read.flat.column_types import plain
from preprocess.read.flat.columns import RowReasons, distinct_texts
from preprocess.read.flat.value_texts import written_texts
from preprocess.read.rejects import Reason

_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE | re.ASCII)


def read_numbers(column: pa.Array, source: FlatSource, reasons: RowReasons) -> F64:
    """Return the numbers of a column, float64 [rows]; NaN where there is none.

    A narrow float is the number that its shortest text says, so that 0.1 is the same in every type and in a text.

    Args:
        column: values of any type; missing are null, NaN and empty text
        source: source of the log, with its decimal mark
        reasons: receives the rows that hold something else than a finite number
    """
    column = plain(column)
    kind = column.type
    if pa.types.is_integer(kind):
        return np.asarray(column.cast(pa.float64(), safe=False).fill_null(np.nan))
    if pa.types.is_float64(kind):
        numbers = np.asarray(column.fill_null(np.nan))
        infinite = np.isinf(numbers)
        reasons.add(np.flatnonzero(infinite), Reason.NOT_FINITE_VALUE)
        return np.where(infinite, np.nan, numbers)
    codes, texts = distinct_texts(written_texts(column)[0], source)
    parsed = [*map(parse_number, texts), math.nan]  # the last is code -1, a null
    for code, value in enumerate(parsed):
        if isinstance(value, Reason):
            reasons.add(np.flatnonzero(codes == code), value)
    return np.array([math.nan if isinstance(value, Reason) else value for value in parsed])[codes]


def parse_number(text: str) -> float | Reason:
    """Return the number that a text says, NaN if it stands for a missing one, or why it is none."""
    text = text.strip()
    if value_text(text) is None:
        return math.nan
    if _INFINITE.fullmatch(text):
        return Reason.NOT_FINITE_VALUE
    number = number_of(text)
    if number is None:
        return Reason.NON_NUMERIC_VALUE
    return number if math.isfinite(number) else Reason.NOT_FINITE_VALUE
