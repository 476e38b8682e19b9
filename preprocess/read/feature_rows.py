"""Ragged feature lists of many rows, as flat NumPy arrays.

Two forms. While parsing, a feature is one entry of four parallel arrays in any order (``FeatureEntries``). From then
on, rows hold their features field after field in schema order (``FeatureRows``). ``in_order`` turns either into rows::

    row 0, field A: [7 8]   lengths  [[2 1]     ids [7 8 3 9]
    row 0, field B: [3]               [0 1]]
    row 1, field A: []
    row 1, field B: [9]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from esmm_dist.arrays import F32, I64, Array, Bools
from preprocess.work.blocks import gathered

Index = npt.NDArray[np.unsignedinteger[Any]]
"""Indices of fields or partitions, in the ``index_dtype`` of their number."""

_RADIX_ROWS = 65536  # NumPy sorts 16-bit integers stably in linear time (radix), 7 times faster than 64-bit ones


@dataclass(frozen=True, kw_only=True)
class FeatureEntries:
    """N features in log order: ``row`` int64 [N], ``field`` [N], ``ids`` int64 [N], ``values`` float32 [N]."""

    row: I64
    field: Index
    ids: I64
    values: F32

    def select(self, mask: Bools) -> "FeatureEntries":
        """Return the entries where ``mask`` (bool [N]) is true."""
        return FeatureEntries(row=self.row[mask], field=self.field[mask], ids=self.ids[mask], values=self.values[mask])

    def in_order(self, row_order: I64, num_fields: int) -> "FeatureRows":
        """Put the features into rows.

        Args:
            row_order: a permutation of the R rows, int64 [R]: row i of the result is row ``row_order[i]``
            num_fields: F

        Returns:
            R rows, the features of each by field, and within a field in log order.

        Raises:
            ValueError: A field is not below F: its features would become those of the next row.
        """
        if len(self.field) and int(self.field.max()) >= num_fields:
            raise ValueError(f"features of field {self.field.max()} of {num_fields}")
        rank = np.empty(len(row_order), np.int64)
        rank[row_order] = np.arange(len(row_order))
        rows = rank[self.row]
        by_field = np.argsort(self.field, kind="stable")
        sort_key = rows.astype(np.uint16) if len(row_order) <= _RADIX_ROWS else rows
        order = by_field[np.argsort(sort_key[by_field], kind="stable")]
        counts = np.bincount(rows * num_fields + self.field, minlength=len(row_order) * num_fields)
        return FeatureRows(
            lengths=counts.astype(np.int32).reshape(len(row_order), num_fields),
            ids=self.ids[order],
            values=self.values[order],
        )

    def lengths(self, num_rows: int, num_fields: int) -> npt.NDArray[np.int32]:
        """Count the features of each (row, field): int32 [num_rows, num_fields]."""
        counts = np.bincount(self.row * num_fields + self.field, minlength=num_rows * num_fields)
        return counts.astype(np.int32).reshape(num_rows, num_fields)


@dataclass(frozen=True, kw_only=True)
class FeatureRows:
    """R rows: ``lengths`` int32 [R, F], ``ids`` int64 [N], ``values`` float32 [N]; N = lengths.sum()."""

    lengths: npt.NDArray[np.int32]
    ids: I64
    values: F32

    @classmethod
    def joined(cls, parts: "Sequence[FeatureRows]") -> "FeatureRows":
        """Return the rows of all parts (one or more, of the same fields), one part after the other."""
        return cls(
            lengths=np.concatenate([part.lengths for part in parts]),
            ids=np.concatenate([part.ids for part in parts]),
            values=np.concatenate([part.values for part in parts]),
        )

    @cached_property
    def row_splits(self) -> I64:
        """Where each row's features begin: int64 [R + 1]. Kept, since ``take`` needs it of all rows for each few."""
        return splits_of(self.lengths.sum(axis=1, dtype=np.int64))

    def field_of_feature(self) -> Index:
        """Return the field index of each feature: [N]."""
        rows, fields = self.lengths.shape
        return np.repeat(np.tile(np.arange(fields, dtype=index_dtype(fields)), rows), self.lengths.ravel())

    def row_of_feature(self) -> I64:
        """Return the row of each feature: int64 [N]."""
        return np.repeat(np.arange(len(self.lengths)), np.diff(self.row_splits))

    def in_order(self, row_order: I64, num_fields: int) -> "FeatureRows":
        """Return the rows in another order, int64 [R]; ``num_fields`` is F.

        Raises:
            ValueError: The rows have another number of fields.
        """
        if self.lengths.shape[1] != num_fields:
            raise ValueError(f"rows of {self.lengths.shape[1]} fields, not of {num_fields}")
        return self.take(row_order)

    def take(self, index: I64) -> "FeatureRows":
        """Return the rows at ``index`` (int64 [K]), in its order; a row may be taken several times."""
        splits = self.row_splits
        begins, sizes = splits[index], splits[index + 1] - splits[index]
        return FeatureRows(
            lengths=self.lengths[index],
            ids=_gathered(self.ids, begins, sizes),
            values=_gathered(self.values, begins, sizes),
        )

    def keep(self, mask: Bools) -> "FeatureRows":
        """Return the same rows with only the features where ``mask`` (bool [N]) is true."""
        from preprocess.read.feature_kernel import keep_features  # loads Numba

        kept = int(np.count_nonzero(mask))
        rows = FeatureRows(
            lengths=np.empty(self.lengths.shape, np.int32),
            ids=np.empty(kept, np.int64),
            values=np.empty(kept, np.float32),
        )
        keep_features(
            np.ascontiguousarray(mask),
            (
                np.ascontiguousarray(self.lengths),
                np.ascontiguousarray(self.ids),
                np.ascontiguousarray(self.values),
            ),
            (rows.lengths, rows.ids, rows.values),
        )
        return rows


def _gathered(array: Array, begins: I64, lengths: I64) -> Array:
    item = array.itemsize
    data = np.ascontiguousarray(array).view(np.uint8)
    return gathered(data, begins * item, lengths * item).view(array.dtype)


def index_dtype(count: int) -> "np.dtype[np.unsignedinteger[Any]]":
    """Return the narrowest type that holds the indices 0 to ``count`` - 1: NumPy sorts 8 and 16 bits in linear time."""
    for dtype in (np.uint8, np.uint16, np.uint32):
        if count <= np.iinfo(dtype).max + 1:
            return np.dtype(dtype)
    raise ValueError(f"{count} things cannot be told apart by 32 bits")


def splits_of(lengths: I64) -> I64:
    """Return the row splits [0, l0, l0 + l1, ...] of row lengths: int64 [R + 1]."""
    splits = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=splits[1:])
    return splits


def ragged_index(splits: I64, index: I64) -> I64:
    """Return the flat positions of the rows at ``index``, one row after the other: int64 [sum of their lengths]."""
    lengths = splits[index + 1] - splits[index]
    ends = np.cumsum(lengths)
    if not len(ends):
        return np.zeros(0, np.int64)
    positions: I64 = np.repeat(splits[index] - (ends - lengths), lengths) + np.arange(int(ends[-1]))
    return positions
