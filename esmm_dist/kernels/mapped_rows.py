"""Rows of ids in sorted arrays that lie anywhere in memory: ``served_model/layers.py`` says where.

``index`` int64 [L, buckets, 4] has for each layer, newest first, and each bucket the number of its ids, the address of
the first one (int64, ascending), and the addresses of their rows and scales. Address 0 of the rows: these ids have no
row any more. Address 0 of the scales: the scales are 1. Whoever calls holds the arrays.
"""

import numpy as np

from esmm_dist.arrays import F32, I64, Bools, Ids
from esmm_dist.kernels.compiled import kernel
from esmm_dist.kernels.memory_at import float32_at, int8_at, int64_at, prefetch_at, uint16_at

SEARCHED_TOGETHER = 16
"""Ids whose searches take turns: each asks for the memory of its next step, and the others go on meanwhile."""

_COUNT, _IDS_AT, _ROWS_AT, _SCALES_AT = range(4)

# Those of esmm_dist.hashing, which may itself be built on kernels
_GOLDEN, _MIX_1, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _48 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(48)
_IDS = "Array(int64, 1, 'C', readonly=True)"
_STARTS = "Array(float32, 2, 'C', readonly=True)"


@kernel("uint64(int64, uint64)", makes_arrays=False)
def _mixed(id_: int, offset: np.uint64) -> np.uint64:
    """Return ``esmm_dist.hashing.mix64`` of an id, with ``(seed + 1) * GOLDEN``."""
    mixed = np.uint64(id_) + offset
    mixed = (mixed ^ (mixed >> _30)) * _MIX_1
    mixed = (mixed ^ (mixed >> _27)) * _MIX_2
    return mixed ^ (mixed >> _31)


@kernel(f"void(int64[:, :, ::1], {_IDS}, int64, int64[:, ::1], int64[:, ::1])", makes_arrays=False)
def find_rows(index: I64, ids: Ids, row_bytes: int, places: I64, scratch: I64) -> None:
    """Find where the row of each id lies in the newest layer that knows the id.

    Args:
        index: int64 [L, buckets, 4], where buckets is a power of two
        ids: int64 [n]
        row_bytes: bytes of a stored row
        places: int64 [2, n], receives the address of each row, 0 where the id has none; and of its scale, 0 if it is 1
        scratch: int64 [3, SEARCHED_TOGETHER]
    """
    last_bucket = np.uint64(index.shape[1] - 1)
    buckets, begins, counts = scratch[0], scratch[1], scratch[2]
    for first in range(0, len(ids), SEARCHED_TOGETHER):
        group = min(SEARCHED_TOGETHER, len(ids) - first)
        for i in range(group):
            buckets[i] = np.int64(_mixed(ids[first + i], _GOLDEN) & last_bucket)
            places[0, first + i] = -1  # not decided
            places[1, first + i] = 0
        for layer in range(index.shape[0]):
            most = 0
            for i in range(group):
                counts[i] = index[layer, buckets[i], _COUNT] if places[0, first + i] == -1 else 0
                begins[i] = index[layer, buckets[i], _IDS_AT]
                most = max(most, counts[i])
                if counts[i] > 1:
                    prefetch_at(begins[i] + 8 * (counts[i] // 2))
            while most > 1:  # searches of one step more or less each: buckets are alike
                most -= most // 2
                for i in range(group):
                    if counts[i] > 1:
                        half = counts[i] // 2
                        middle = begins[i] + 8 * half
                        begins[i] = middle if int64_at(middle) <= ids[first + i] else begins[i]
                        counts[i] -= half
                        prefetch_at(begins[i] + 8 * (counts[i] // 2))
            for i in range(group):
                if counts[i] == 1 and int64_at(begins[i]) == ids[first + i]:
                    of_bucket = index[layer, buckets[i]]
                    number = (begins[i] - of_bucket[_IDS_AT]) // 8
                    places[0, first + i] = 0
                    if of_bucket[_ROWS_AT] != 0:
                        places[0, first + i] = of_bucket[_ROWS_AT] + number * row_bytes
                        prefetch_at(places[0, first + i])
                    if of_bucket[_SCALES_AT] != 0:
                        places[1, first + i] = of_bucket[_SCALES_AT] + 4 * number
                        prefetch_at(places[1, first + i])
        for i in range(group):
            places[0, first + i] = max(places[0, first + i], 0)


@kernel(f"void(int64, {_STARTS}, uint64, float32[:, ::1], int64)", makes_arrays=False)
def _read_start(id_: int, starts: F32, offset: np.uint64, rows: F32, place: int) -> None:
    """Copy the row of ``starts`` float32 [2^16, D] that an id's hash picks."""
    pick = np.int64(_mixed(id_, offset) >> _48)
    for column in range(rows.shape[1]):
        rows[place, column] = starts[pick, column]


_READ = f"void({_IDS}, int64[:, ::1], {_STARTS}, uint64, float32[:, ::1], boolean[::1])"


@kernel(_READ, makes_arrays=False)
def read_float32(ids: Ids, places: I64, starts: F32, offset: np.uint64, rows: F32, found: Bools) -> None:
    """Copy rows float32; an id that has none reads the row of ``starts`` that its hash picks.

    Args:
        ids: int64 [n]
        places: int64 [2, n], addresses of the rows, 0: none; and of their scales, which are not read here
        starts: float32 [2^16, D]
        offset: ``(seed + 1) * GOLDEN`` of the start rows' hash
        rows: float32 [n, D], receives the rows
        found: bool [n], receives which ids have a row
    """
    for place in range(len(ids)):
        at = places[0, place]
        found[place] = at != 0
        if at == 0:
            _read_start(ids[place], starts, offset, rows, place)
            continue
        for column in range(rows.shape[1]):
            rows[place, column] = float32_at(at + 4 * column)


@kernel(_READ, makes_arrays=False)
def read_int8(ids: Ids, places: I64, starts: F32, offset: np.uint64, rows: F32, found: Bools) -> None:
    """Copy rows int8, times their scales; else as ``read_float32``."""
    for place in range(len(ids)):
        at = places[0, place]
        found[place] = at != 0
        if at == 0:
            _read_start(ids[place], starts, offset, rows, place)
            continue
        scale = float32_at(places[1, place])
        for column in range(rows.shape[1]):
            rows[place, column] = np.float32(int8_at(at + column)) * scale


@kernel(_READ, makes_arrays=False)
def read_float16(ids: Ids, places: I64, starts: F32, offset: np.uint64, rows: F32, found: Bools) -> None:
    """Copy rows float16, which are finite, times their scales; else as ``read_float32``."""
    tiny = np.float32(2.0**-24)
    for place in range(len(ids)):
        at = places[0, place]
        found[place] = at != 0
        if at == 0:
            _read_start(ids[place], starts, offset, rows, place)
            continue
        scale = float32_at(places[1, place])
        for column in range(rows.shape[1]):
            half = uint16_at(at + 2 * column)
            exponent, fraction = (half >> 10) & 31, half & 1023
            # Normal numbers are (1024 + fraction) * 2^(exponent - 25), denormals fraction * 2^-24
            if exponent != 0:
                fraction = (fraction + 1024) << (exponent - 1)
            value = np.float32(fraction) * tiny
            rows[place, column] = (-value if half >> 15 else value) * scale
