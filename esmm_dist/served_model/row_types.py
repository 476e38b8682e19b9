"""How rows are stored: float32 as they are, or fewer bytes with one scale a row.

A stored value is read as ``value * scale``, in float32. With m the greatest absolute value of a row, the error of any
of its columns is at most

- float32: 0.
- float16: ``max(|x| * 2^-11, m * 2^-39)``. The scale is the power of two for which m is stored as a number in
  [2^14, 2^15]: nothing overflows, dividing and multiplying by it are exact, and what is denormal in float16 is less
  than 2^-28 of m.
- int8: ``m / 254 * (1 + 2^-14)``, half of one of 254 equal steps from -m to m; scale = m / 127.

Scales are 2^-126 or more, so that none is denormal: rows whose m is less than 2^-111 (float16) or 2^-119 (int8) have
errors of up to 2^-151 and 2^-127 in their place. A row of zeros has scale 1.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from esmm_dist.arrays import F32, Array, Ids
from esmm_dist.errors import ServedModelError
from esmm_dist.served_model.manifest import RowType

_LEAST_SCALE = np.float32(2.0**-126)
_TOP_EXPONENT = 15  # 2^15 is above all stored float16 values, which end at 65504
_LEVELS = np.float32(127)


@dataclass(frozen=True, kw_only=True)
class StoredRows:
    """Rows in stored form."""

    values: Array
    """[n, D] of the row type"""
    scales: F32 | None
    """float32 [n]; None: 1, of float32 rows"""


def dtype_of(row_type: RowType) -> npt.DTypeLike:
    """Return the NumPy type of stored values."""
    types: dict[RowType, npt.DTypeLike] = {"float32": np.float32, "float16": np.float16, "int8": np.int8}
    return types[row_type]


def stored_rows(ids: Ids, rows: F32, row_type: RowType, *, where: str) -> StoredRows:
    """Return rows float32 [n, D] in stored form; see the module for the error.

    The stored form of a row depends on its values alone, so that rows can be compared by it.

    Args:
        ids: int64 [n]
        rows: float32 [n, D]
        row_type: how they are stored
        where: beginning of error messages

    Raises:
        ServedModelError: A value is not finite; the message names the id.
    """
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        place = int(np.argmin(finite))
        raise ServedModelError(
            f"{where}: the row of id {ids[place]} holds a value that is not finite. Export an older checkpoint, or "
            "train with a lower learning rate."
        )
    if row_type == "float32":
        return StoredRows(values=rows, scales=None)
    greatest = np.abs(rows).max(axis=1, initial=0)
    scales = _power_of_two(greatest) if row_type == "float16" else _level(greatest)
    scales = np.where(greatest == 0, np.float32(1), np.maximum(scales, _LEAST_SCALE)).astype(np.float32)
    scaled = rows / scales[:, np.newaxis]
    if row_type == "int8":
        scaled = np.clip(np.rint(scaled), -_LEVELS, _LEVELS)
    return StoredRows(values=scaled.astype(dtype_of(row_type)), scales=scales)


def read_back(values: Array, scales: F32 | None) -> F32:
    """Return stored rows as they are read: float32 [n, D]."""
    rows: F32 = values.astype(np.float32)
    return rows if scales is None else rows * scales[:, np.newaxis]


def _level(greatest: F32) -> F32:
    """Return the scales by which the greatest value of each row is the last level."""
    scales = greatest / _LEVELS
    with np.errstate(over="ignore"):
        overflows = ~np.isfinite(scales * _LEVELS)  # that of the greatest numbers, where it was rounded up
    return np.where(overflows, np.nextafter(scales, np.float32(0)), scales)


def _power_of_two(greatest: F32) -> npt.NDArray[Any]:
    """Return the scales by which the greatest value of each row is stored in [2^14, 2^15]."""
    _, exponents = np.frexp(greatest)  # greatest = [0.5, 1) * 2^exponent
    return np.ldexp(np.float32(1), exponents - _TOP_EXPONENT)
