"""Kernels of the map from ids to row numbers: see ``embedding/id_map.py`` for its layout.

``lines`` int64 [lines, 8] and ``words`` uint32 [lines, 16] are the same memory: five ids, then for each its row number
+ 1 (0: an empty place), then how many pairs were put further on because they found this line full.
"""

import numpy as np

from esmm_dist.arrays import I64, U32, Ids
from esmm_dist.kernels.compiled import kernel
from esmm_dist.kernels.prefetch import prefetch

_LINES = "int64[:, ::1], uint32[:, ::1], int64"
_IDS = "Array(int64, 1, 'C', readonly=True)"
_PLACES, _NUMBERS, _PASSED = 5, 10, 15
_AHEAD = 16
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_32 = np.uint64(32)
_ONE = np.uint32(1)


@kernel("int64(int64, int64)")
def _line_of(id_: int, num_lines: int) -> int:
    """Return the line where an id's search begins: 32 hashed bits, in proportion to the number of lines."""
    mixed = np.uint64(id_)
    mixed = (mixed ^ (mixed >> _32)) * _GOLDEN
    mixed = (mixed ^ (mixed >> _32)) * _MIX
    return np.int64(((mixed >> _32) * np.uint64(num_lines)) >> _32)  # type: ignore[return-value]


@kernel(f"void({_LINES}, {_IDS}, int64[::1])")
def find_numbers(lines: I64, words: U32, num_lines: int, ids: Ids, numbers: I64) -> None:
    """Write the row number of each id, -1 where the map has none, into ``numbers`` int64 [n]."""
    count = len(ids)
    for i in range(count):
        if i + _AHEAD < count:
            ahead = _line_of(ids[i + _AHEAD], num_lines)
            prefetch(lines, ahead, 0)
            prefetch(lines, ahead + 1, 0)  # where one id in ten is: 27 -> 19 ns an id in one thread, 4.5 M ids
        id_ = ids[i]
        line = _line_of(id_, num_lines)
        found = np.uint32(0)
        for _ in range(num_lines):
            for place in range(_PLACES):  # at most one place that is not empty has the id: no jump depends on it
                found |= words[line, _NUMBERS + place] & (np.uint32(0) - np.uint32(lines[line, place] == id_))
            if found != 0 or words[line, _PASSED] == 0:
                break
            line = line + 1 if line + 1 < num_lines else 0
        numbers[i] = np.int64(found) - 1


@kernel(f"int64({_LINES}, {_IDS}, {_IDS})")
def put_numbers(lines: I64, words: U32, num_lines: int, ids: Ids, numbers: Ids) -> int:
    """Set the row numbers of ids; return the number of ids added. There must be an empty place for each."""
    added = 0
    count = len(ids)
    for i in range(count):
        if i + _AHEAD < count:
            prefetch(lines, _line_of(ids[i + _AHEAD], num_lines), 0)
        id_ = ids[i]
        home = _line_of(id_, num_lines)
        line, free_line, free_place, same = home, -1, -1, -1
        for _ in range(num_lines):
            for place in range(_PLACES):
                if words[line, _NUMBERS + place] == 0:
                    if free_line < 0:
                        free_line, free_place = line, place
                elif lines[line, place] == id_:
                    same = place
            if same >= 0 or (free_line >= 0 and words[line, _PASSED] == 0):
                break
            line = line + 1 if line + 1 < num_lines else 0
        if same >= 0:
            words[line, _NUMBERS + same] = np.uint32(numbers[i] + 1)
            continue
        lines[free_line, free_place] = id_
        words[free_line, _NUMBERS + free_place] = np.uint32(numbers[i] + 1)
        added += 1
        line = home
        while line != free_line:
            words[line, _PASSED] += _ONE
            line = line + 1 if line + 1 < num_lines else 0
    return added


@kernel(f"int64({_LINES}, {_IDS})")
def remove_numbers(lines: I64, words: U32, num_lines: int, ids: Ids) -> int:
    """Forget ids; return how many of them the map had."""
    removed = 0
    count = len(ids)
    for i in range(count):
        if i + _AHEAD < count:
            prefetch(lines, _line_of(ids[i + _AHEAD], num_lines), 0)
        id_ = ids[i]
        home = _line_of(id_, num_lines)
        line, same = home, -1
        for _ in range(num_lines):
            for place in range(_PLACES):
                if lines[line, place] == id_ and words[line, _NUMBERS + place] != 0:
                    same = place
            if same >= 0 or words[line, _PASSED] == 0:
                break
            line = line + 1 if line + 1 < num_lines else 0
        if same < 0:
            continue
        lines[line, same] = 0
        words[line, _NUMBERS + same] = np.uint32(0)
        removed += 1
        while home != line:
            words[home, _PASSED] -= _ONE
            home = home + 1 if home + 1 < num_lines else 0
    return removed


@kernel("int64(int64[:, ::1], uint32[:, ::1], int64, int64, int64[::1], int64[::1])")
def read_pairs(lines: I64, words: U32, first: int, end: int, ids: I64, numbers: I64) -> int:
    """Write the pairs of lines ``[first, end)`` into ``ids`` and ``numbers`` int64 [5 a line]; return how many."""
    count = 0
    for line in range(first, end):
        for place in range(_PLACES):
            if words[line, _NUMBERS + place] != 0:
                ids[count] = lines[line, place]
                numbers[count] = np.int64(words[line, _NUMBERS + place]) - 1
                count += 1
    return count
