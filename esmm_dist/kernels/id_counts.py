"""Count the impressions that hold each id, with a hash table that can keep a sample of the ids.

A table is int64 [slots, 1 + C], slots a power of two: an id + 1 (0: a free slot), and for each of C columns, such as
the splits of a data set, how often the id was counted (upper 40 bits) beside a mark of the list that last held it
(lower 24 bits). Marks are 1 .. 2^24 - 1; a caller that has used them all clears them (``clear_marks``).

A sample keeps the ids whose hash begins with so many zero bits, the *level*: all of them at level 0, half at level 1.
It depends on the id alone.
"""

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.kernels.compiled import kernel
from esmm_dist.kernels.prefetch import prefetch

MOST_MARKS = (1 << 24) - 1
"""Lists that marks can tell apart."""

_MARK_BITS = 24
_AHEAD = 12
_CACHED_SLOTS = 1 << 14
"""A table of so many is in a core's second cache."""

_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@kernel("uint64(uint64)", makes_arrays=False)
def _mixed(value):  # type: ignore[no-untyped-def]
    """Return what SplitMix64 makes of a number: ``esmm_dist.hashing.mix64`` with seed 0."""
    state = value + _GOLDEN
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    return state ^ (state >> np.uint64(31))


@kernel("boolean(uint64, int64)", makes_arrays=False)
def _is_chosen(mixed, level):  # type: ignore[no-untyped-def]
    return level == 0 or mixed >> np.uint64(64 - level) == 0


@kernel("uint64(int64, uint64)", makes_arrays=False)
def _home(id_, mask):  # type: ignore[no-untyped-def]
    """Return the slot where the search for an id begins."""
    spread = np.uint64(id_) * _GOLDEN
    return (spread ^ (spread >> np.uint64(32))) & mask  # unsigned places are not checked for being negative


@kernel("uint64(int64[:, ::1], int64)", makes_arrays=False)
def _slot(table, id_):  # type: ignore[no-untyped-def]
    """Return the slot of an id, or the free one that is to be its own."""
    mask = np.uint64(len(table) - 1)
    slot = _home(id_, mask)
    key = table[slot, 0]
    while key != 0 and key != id_ + 1:
        slot = (slot + np.uint64(1)) & mask
        key = table[slot, 0]
    return slot


@kernel("void(int64[:, ::1], uint64, uint64, int64, int64)", makes_arrays=False)
def _add(table, slot, column, impressions, mark):  # type: ignore[no-untyped-def]
    """Count impressions of the id in a slot, unless the list of this mark has counted already."""
    held = table[slot, column]
    if held & MOST_MARKS != mark:
        table[slot, column] = (((held >> _MARK_BITS) + impressions) << _MARK_BITS) | mark


@kernel("int64(Tuple((int64[::1], int64[:], int64[:])), int64, int64, int64)", makes_arrays=False)
def _ahead(lists, row, place, end):  # type: ignore[no-untyped-def]
    """Return the id that is some places further on; a wrong one where lists are short, which is of no use."""
    ids, begins, _ = lists
    if end - place <= 1:  # as all lists of a one-hot field
        place = begins[min(row + _AHEAD, len(begins) - 1)]
    elif place + _AHEAD < end:
        place += _AHEAD
    else:
        place = begins[min(row + 1, len(begins) - 1)] + place + _AHEAD - end
    return ids[np.uint64(min(place, len(ids) - 1))]


@kernel(
    "void(Tuple((int64[::1], int64[:], int64[:])), int64[::1], UniTuple(int64[:, ::1], 2), UniTuple(int64, 3),"
    " int64[::1])",
    makes_arrays=False,
)
def count_lists(
    lists: tuple[I64, I64, I64],
    impressions: I64,
    tables: tuple[I64, I64],
    options: tuple[int, int, int],
    state: I64,
) -> None:
    """Count ids: for each impression that holds one, however often it stands in a list.

    Stops before a list for which the table may be too small (more than 5/8 full).

    Args:
        lists: ids int64 [N]; where each of R lists begins among them, and its length, int64 [R]
        impressions: int64 [R], of each list; lists of 0 do not count
        tables: the ids of the sample; and ids that are counted whatever their hash, in a table with a free slot
        options: column, 1 .. C; level of the sample; and whether some ids are counted whatever their hash
        state: int64 [3], kept up to date: the next list, the mark of the list before it, and the ids in the table
    """
    ids, begins, lengths = lists
    table, pinned = tables
    level, has_pinned = options[1], options[2]
    column, mask = np.uint64(options[0]), np.uint64(len(table) - 1)
    most = len(table) // 8 * 5
    is_large = len(table) > _CACHED_SLOTS
    row, mark, used = state[0], state[1], state[2]
    while row < len(lengths) and used + lengths[row] <= most:
        begin, weight = begins[row], impressions[row]
        end = begin + lengths[row]
        mark += 1
        for place in range(begin, end if weight else begin):
            if is_large:
                ahead = _home(_ahead(lists, row, place, end), mask)
                prefetch(table, np.int64(ahead), 0)  # type: ignore[arg-type]
            id_ = ids[np.uint64(place)]
            if has_pinned:
                slot = _slot(pinned, id_)
                if pinned[slot, 0] != 0:
                    _add(pinned, slot, column, weight, mark)
                    continue
            if level and not _is_chosen(_mixed(np.uint64(id_)), level):
                continue
            slot = _slot(table, id_)
            if table[slot, 0] == 0:
                table[slot, 0] = id_ + 1
                used += 1
            _add(table, slot, column, weight, mark)
        row += 1
    state[0], state[1], state[2] = row, mark, used


@kernel("void(int64[:], int64[::1], int64[::1])", makes_arrays=False)
def add_lengths(lengths: I64, impressions: I64, things: I64) -> None:
    """Add the impressions of lists to those of their length.

    Args:
        lengths: int64 [R]
        impressions: int64 [R], of each list
        things: int64 [longest + 1], by length; kept up to date
    """
    for row in range(len(lengths)):
        things[lengths[row]] += impressions[row]


@kernel("int64(int64[:, ::1], int64[:, ::1], int64)", makes_arrays=False)
def copy_chosen(table: I64, other: I64, level: int) -> int:
    """Put the ids of a table that a level keeps into another one, which is empty; return how many they are.

    An id without counts was moved away (``move_ids``), and is left behind.

    Args:
        table: as above
        other: with as many columns, and a free slot for each such id and one more
        level: level of the sample
    """
    count = 0
    for place in range(len(table)):
        counted = False
        for column in range(1, table.shape[1]):
            counted |= table[place, column] != 0
        if counted:
            id_ = table[place, 0] - 1
            if _is_chosen(_mixed(np.uint64(id_)), level):
                slot = _slot(other, id_)
                for column in range(table.shape[1]):
                    other[slot, column] = table[place, column]
                count += 1
    return count


@kernel("int64(int64[:, ::1], int64[:, ::1], int64[::1])")
def move_ids(table: I64, other: I64, ids: I64) -> int:
    """Move ids from a table into another one, which is empty; ids that the table lacks are there with counts of 0.

    Args:
        table: as above; what was moved keeps its place in it, and has no counts there
        other: with as many columns, and a free slot for each id and one more
        ids: int64 [n], each once

    Returns:
        Ids that the table had.
    """
    found = 0
    for id_ in ids:
        slot, to = _slot(table, id_), _slot(other, id_)
        other[to, 0] = id_ + 1
        if table[slot, 0] != 0:
            found += 1
            for column in range(1, table.shape[1]):
                other[to, column] = table[slot, column]
                table[slot, column] = 0
    return found


@kernel("void(int64[:, ::1])", makes_arrays=False)
def clear_marks(table: I64) -> None:
    """Forget which list held each id last."""
    for place in range(len(table)):
        for column in range(1, table.shape[1]):
            table[place, column] &= ~MOST_MARKS


@kernel("int64(int64[:, ::1], int64[::1], int64[:, ::1])", makes_arrays=False)
def _read_counts(table, ids, counts):  # type: ignore[no-untyped-def]
    """Write the ids of a table that have counts, int64 [n], and the counts, int64 [C, n]; return how many they are."""
    count = 0
    for place in range(len(table)):
        counted = False
        for column in range(1, table.shape[1]):
            held = table[place, column] >> _MARK_BITS
            counted |= held != 0
            counts[column - 1, count] = held
        ids[count] = table[place, 0] - 1
        count += int(counted)
    return count


def counted_ids(table: I64) -> tuple[I64, I64]:
    """Return the ids of a table that have counts, int64 [n], and their counts, int64 [n, C], column after column."""
    most = int(np.count_nonzero(table[:, 0])) + 1  # a free slot is written, and then written over
    ids, counts = np.empty(most, np.int64), np.empty((table.shape[1] - 1, most), np.int64)
    found = _read_counts(table, ids, counts)
    return ids[:found], counts[:, :found].T


@kernel("void(Tuple((int64[::1], int64[::1])), int64, int64[::1])", makes_arrays=False)
def hash_lists(lists: tuple[I64, I64], fields: int, hashes: I64) -> None:
    """Hash the lists of each row: the same ids in the same fields and order give the same hash, 0 .. 2^63 - 1.

    Args:
        lists: ids int64 [N], and lengths int64 [R * F], as in ``field_lists``
        fields: F
        hashes: int64 [R], written
    """
    ids, lengths = lists
    begin = 0
    for row in range(len(hashes)):
        total = np.uint64(0)
        for field in range(fields):
            length = lengths[row * fields + field]
            total += _mixed(np.uint64(length) ^ (np.uint64(field + 1) << np.uint64(32)))
            for place in range(length):
                # A sum of mixed numbers does not wait for the one before, as a chain of hashes does
                salt = np.uint64(field + 1) * _GOLDEN + np.uint64(place) * _MIX_1
                total += _mixed(np.uint64(ids[begin + place]) ^ salt)
            begin += length
        hashes[row] = np.int64(_mixed(total) >> np.uint64(1))


@kernel(
    "void(UniTuple(int64[::1], 3), int64[:, ::1], UniTuple(int64, 2), int64[::1])",
    makes_arrays=False,
)
def count_contexts(rows: tuple[I64, I64, I64], table: I64, options: tuple[int, int], state: I64) -> None:
    """Add up the impressions of each user context; a sample keeps all contexts of some users.

    Its table is int64 [slots, 2 + C]: hash of the context + 1 (0: a free slot), id of its user, and impressions by
    column. Stops before a row for which the table may be too small.

    Args:
        rows: hash of each row's context, its user (-1: none), and its impressions, int64 [R] each; rows of 0
            impressions do not count
        table: as above
        options: column, 0 .. C - 1; and level of the sample
        state: int64 [2], kept up to date: the next row, and the contexts in the table
    """
    hashes, users, impressions = rows
    column, level = options
    most = len(table) // 8 * 5
    row, used = state[0], state[1]
    while row < len(hashes) and used < most:
        user = users[row]
        named = user if user >= 0 else hashes[row]
        if impressions[row] > 0 and _is_chosen(_mixed(np.uint64(named)), level):
            slot = _slot(table, hashes[row])
            if table[slot, 0] == 0:
                table[slot, 0], table[slot, 1] = hashes[row] + 1, user
                used += 1
            table[slot, 2 + column] += impressions[row]
        row += 1
    state[0], state[1] = row, used


@kernel("int64(int64[:, ::1], int64[:, ::1], int64)", makes_arrays=False)
def copy_contexts(table: I64, other: I64, level: int) -> int:
    """Put the contexts of a table that a level keeps into another one, which is empty; return how many they are."""
    count = 0
    for place in range(len(table)):
        if table[place, 0] != 0:
            hash_, user = table[place, 0] - 1, table[place, 1]
            if _is_chosen(_mixed(np.uint64(user if user >= 0 else hash_)), level):
                slot = _slot(other, hash_)
                for column in range(table.shape[1]):
                    other[slot, column] = table[place, column]
                count += 1
    return count
