"""Rows of ids in sorted arrays that lie anywhere in memory: see ``served_model/layers.py`` for where.

``index`` int64 [L, buckets, 4] has for each layer, newest first, and each bucket the number of its ids, the address of
the first one (int64, ascending), and the addresses of their rows and scales. Address 0 of the rows: these ids have no
row any more. Address 0 of the scales: the scales are 1. Whoever calls holds the arrays.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

from esmm_dist.arrays import F32, I64, Bools, Ids
from esmm_dist.kernels.compiled import kernel

# Those of esmm_dist.hashing, which may itself be built on kernels
_GOLDEN, _MIX_1, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _48 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(48)
_IDS = "Array(int64, 1, 'C', readonly=True)"
_STARTS = "Array(float32, 2, 'C', readonly=True)"


def _loader(kind: Any, number: Any) -> Any:
    @intrinsic
    def load(_context: Any, address: Any) -> tuple[Any, Callable[..., Any]]:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.load(builder.inttoptr(arguments[0], kind.as_pointer()))

        return number(address), generate

    return load


_int64_at = cast("Callable[[int], int]", _loader(ir.IntType(64), types.int64))
_float32_at = cast("Callable[[int], np.float32]", _loader(ir.FloatType(), types.float32))
_uint16_at = cast("Callable[[int], int]", _loader(ir.IntType(16), types.uint16))
_int8_at = cast("Callable[[int], int]", _loader(ir.IntType(8), types.int8))


@kernel("uint64(int64, uint64)", makes_arrays=False)
def _mixed(id_: int, offset: np.uint64) -> np.uint64:
    """Return ``esmm_dist.hashing.mix64`` of an id, with ``(seed + 1) * GOLDEN``."""
    mixed = np.uint64(id_) + offset
    mixed = (mixed ^ (mixed >> _30)) * _MIX_1
    mixed = (mixed ^ (mixed >> _27)) * _MIX_2
    return mixed ^ (mixed >> _31)


@kernel(f"void(int64[:, :, ::1], {_IDS}, int64, int64, int64[::1], int64[::1])", makes_arrays=False)
def find_rows(index: I64, ids: Ids, row_bytes: int, first_layer: int, rows_at: I64, scales_at: I64) -> None:
    """Find where the row of each id lies in the newest layer that knows the id.

    Args:
        index: int64 [L, buckets, 4], where buckets is a power of two
        ids: int64 [n]
        row_bytes: bytes of a stored row
        first_layer: layers before this one are passed over
        rows_at: int64 [n], receives the address of each row; 0: the id has none
        scales_at: int64 [n], receives the address of each scale; 0: it is 1
    """
    last_bucket = np.uint64(index.shape[1] - 1)
    for place in range(len(ids)):
        id_ = ids[place]
        bucket = np.int64(_mixed(id_, _GOLDEN) & last_bucket)
        rows_at[place] = 0
        scales_at[place] = 0
        for layer in range(first_layer, index.shape[0]):
            count = index[layer, bucket, 0]
            if count == 0:
                continue
            first = index[layer, bucket, 1]
            begin = 0
            while count > 1:
                half = count // 2
                begin += half * (_int64_at(first + 8 * (begin + half)) <= id_)
                count -= half
            if _int64_at(first + 8 * begin) == id_:
                rows = index[layer, bucket, 2]
                if rows != 0:
                    rows_at[place] = rows + begin * row_bytes
                    scales = index[layer, bucket, 3]
                    if scales != 0:
                        scales_at[place] = scales + 4 * begin
                break


@kernel(f"void(int64, {_STARTS}, uint64, float32[:, ::1], int64)", makes_arrays=False)
def _read_start(id_: int, starts: F32, offset: np.uint64, rows: F32, place: int) -> None:
    """Copy the row of ``starts`` float32 [2^16, D] that an id's hash picks."""
    pick = np.int64(_mixed(id_, offset) >> _48)
    for column in range(rows.shape[1]):
        rows[place, column] = starts[pick, column]


_READ = f"void({_IDS}, int64[::1], int64[::1], {_STARTS}, uint64, float32[:, ::1], boolean[::1])"


@kernel(_READ, makes_arrays=False)
def read_float32(
    ids: Ids, rows_at: I64, _scales_at: I64, starts: F32, offset: np.uint64, rows: F32, found: Bools
) -> None:
    """Copy rows float32; an id that has none reads the row of ``starts`` that its hash picks.

    Args:
        ids: int64 [n]
        rows_at: int64 [n], addresses of the rows; 0: none
        _scales_at: not read: all scales are 1
        starts: float32 [2^16, D]
        offset: ``(seed + 1) * GOLDEN`` of the start rows' hash
        rows: float32 [n, D], receives the rows
        found: bool [n], receives which ids have a row
    """
    for place in range(len(ids)):
        at = rows_at[place]
        found[place] = at != 0
        if at != 0:
            for column in range(rows.shape[1]):
                rows[place, column] = _float32_at(at + 4 * column)
        else:
            _read_start(ids[place], starts, offset, rows, place)


@kernel(_READ, makes_arrays=False)
def read_int8(ids: Ids, rows_at: I64, scales_at: I64, starts: F32, offset: np.uint64, rows: F32, found: Bools) -> None:
    """Copy rows int8, times their scales; else as ``read_float32``."""
    for place in range(len(ids)):
        at = rows_at[place]
        found[place] = at != 0
        if at != 0:
            scale = _float32_at(scales_at[place])
            for column in range(rows.shape[1]):
                rows[place, column] = np.float32(_int8_at(at + column)) * scale
        else:
            _read_start(ids[place], starts, offset, rows, place)


@kernel(_READ, makes_arrays=False)
def read_float16(
    ids: Ids, rows_at: I64, scales_at: I64, starts: F32, offset: np.uint64, rows: F32, found: Bools
) -> None:
    """Copy rows float16, times their scales; else as ``read_float32``. Values are finite; all products are exact."""
    tiny = np.float32(2.0**-24)
    for place in range(len(ids)):
        at = rows_at[place]
        found[place] = at != 0
        if at != 0:
            scale = _float32_at(scales_at[place])
            for column in range(rows.shape[1]):
                half = _uint16_at(at + 2 * column)
                exponent, fraction = (half >> 10) & 31, half & 1023
                # Normal numbers are (1024 + fraction) * 2^(exponent - 25), denormals fraction * 2^-24
                if exponent != 0:
                    fraction = (fraction + 1024) << (exponent - 1)
                value = np.float32(fraction) * tiny
                rows[place, column] = (-value if half >> 15 else value) * scale
        else:
            _read_start(ids[place], starts, offset, rows, place)
