"""Kernels of the cache of (id, code) pairs: see ``embedding/row_cache.py`` for its layout.

A line is int64 [8]: four ids, then for each its code + 1; 0 is an empty place.
"""

import numpy as np

from esmm_dist.arrays import I64, Ids
from esmm_dist.kernels.compiled import kernel
from esmm_dist.kernels.prefetch import prefetch

_IDS = "Array(int64, 1, 'C', readonly=True)"
_PLACES = 4
_AHEAD = 16
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_32, _24 = np.uint64(32), np.uint64(24)


@kernel("int64(int64)")
def _spread(id_: int) -> int:
    """Return 40 bits that all bits of the id have a part in: ids of a field often differ in few of them."""
    mixed = np.uint64(id_)
    mixed = (mixed ^ (mixed >> _32)) * _GOLDEN
    mixed = (mixed ^ (mixed >> _32)) * _MIX
    return np.int64(mixed >> _24)  # type: ignore[return-value]


@kernel("int64(int64)")
def _whole(num_lines: int) -> int:
    """Return the largest power of two that is at most ``num_lines``."""
    whole = 1
    while 2 * whole <= num_lines:
        whole *= 2
    return whole


@kernel("int64(int64, int64, int64)")
def _line_of(id_: int, num_lines: int, whole: int) -> int:
    """Return an id's line by linear hashing: lines from ``whole`` on have been split off those before them."""
    line = _spread(id_) & (2 * whole - 1)
    return line if line < num_lines else line - whole


@kernel(f"void(int64[:, ::1], int64, {_IDS}, int64[::1])")
def find_codes(lines: I64, num_lines: int, ids: Ids, codes: I64) -> None:
    """Write the code of each id, -1 where the cache has none, into ``codes`` int64 [n]."""
    whole = _whole(num_lines)
    count = len(ids)
    for i in range(count):
        if i + _AHEAD < count:
            prefetch(lines, _line_of(ids[i + _AHEAD], num_lines, whole), 0)
        id_ = ids[i]
        line = _line_of(id_, num_lines, whole)
        found = 0
        for place in range(_PLACES):  # at most one place that is not empty has the id: no jump depends on it
            found |= lines[line, _PLACES + place] if lines[line, place] == id_ else 0
        codes[i] = found - 1


@kernel(f"int64(int64[:, ::1], int64, {_IDS}, {_IDS})")
def put_codes(lines: I64, num_lines: int, ids: Ids, codes: I64) -> int:
    """Set the codes of ids; where a line is full, another pair of it is dropped. Return the number of pairs added."""
    whole = _whole(num_lines)
    added = 0
    count = len(ids)
    for i in range(count):
        if i + _AHEAD < count:
            prefetch(lines, _line_of(ids[i + _AHEAD], num_lines, whole), 0)
        id_ = ids[i]
        line = _line_of(id_, num_lines, whole)
        empty, same = -1, -1
        for place in range(_PLACES):
            if lines[line, _PLACES + place] == 0:
                empty = place
            elif lines[line, place] == id_:
                same = place
        if same >= 0:
            chosen = same
        elif empty >= 0:
            chosen = empty
            added += 1
        else:
            chosen = (_spread(id_) >> 38) & (_PLACES - 1)
        lines[line, chosen] = id_
        lines[line, _PLACES + chosen] = codes[i] + 1
    return added


@kernel(f"int64(int64[:, ::1], int64, {_IDS})")
def remove_codes(lines: I64, num_lines: int, ids: Ids) -> int:
    """Forget ids; return how many of them the cache had."""
    whole = _whole(num_lines)
    removed = 0
    for i in range(len(ids)):
        line = _line_of(ids[i], num_lines, whole)
        for place in range(_PLACES):
            if lines[line, place] == ids[i] and lines[line, _PLACES + place] != 0:
                lines[line, place] = lines[line, _PLACES + place] = 0
                removed += 1
    return removed


@kernel("void(int64[:, ::1], int64, int64)")
def split_lines(lines: I64, num_lines: int, new_num_lines: int) -> None:
    """Add lines one after the other: each takes its pairs from one line, about half of what is there."""
    whole = _whole(num_lines)
    for new in range(num_lines, new_num_lines):
        if new == 2 * whole:
            whole = new
        old = new - whole
        for place in range(_PLACES):
            code = lines[old, _PLACES + place]
            if code != 0 and _spread(lines[old, place]) & (2 * whole - 1) == new:
                lines[new, place] = lines[old, place]
                lines[new, _PLACES + place] = code
                lines[old, place] = lines[old, _PLACES + place] = 0
