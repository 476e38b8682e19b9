"""Sets of ids as ascending arrays: where they meet, and their union, by one walk along both.

The walks take what is ascending for granted, as a ``Ticket`` has checked it.
"""

import numpy as np

from esmm_dist.arrays import F32, I64, Bools, Ids
from esmm_dist.kernels.compiled import kernel

_IDS = "Array(int64, 1, 'C', readonly=True)"  # what has come from the wire cannot be written to


def are_among(ids: Ids, others: Ids) -> Bools:
    """Return which ids are among others, bool [U].

    Args:
        ids: int64 [U], strictly ascending
        others: int64 [V], strictly ascending
    """
    found = np.empty(len(ids), dtype=np.bool_)
    _mark(np.ascontiguousarray(ids), np.ascontiguousarray(others), found)
    return found


def places_apart(ids: Ids, others: Ids) -> tuple[I64, I64]:
    """Return the places of the ids that are not among others, and of those that are: int64 [m], int64 [n], ascending.

    Args:
        ids: int64 [U], strictly ascending
        others: int64 [V], strictly ascending
    """
    places = np.empty((2, len(ids)), dtype=np.int64)
    apart = _part(np.ascontiguousarray(ids), np.ascontiguousarray(others), places)
    return places[0, :apart], places[1, : len(ids) - apart]


def union(first: Ids, second: Ids) -> Ids:
    """Return the ids of both, strictly ascending as each of the two is."""
    both = np.empty(len(first) + len(second), dtype=np.int64)
    count = _merge(np.ascontiguousarray(first), np.ascontiguousarray(second), both)
    return both[:count]


def places_in(all_ids: Ids, ids: Ids) -> I64:
    """Return the place of each id in an array that holds them all, int64 [U]; both strictly ascending."""
    places = np.empty(len(ids), dtype=np.int64)
    _find_places(np.ascontiguousarray(all_ids), np.ascontiguousarray(ids), places)
    return places


def put_rows(rows: F32, places: I64, values: F32) -> None:
    """Write values float32 [U, D], which may be read-only, to ``rows`` float32 [S, D] at ``places`` int64 [U]."""
    _put_rows(rows, places, np.ascontiguousarray(values))


def add_rows(sums: F32, places: I64, rows: F32) -> None:
    """Add rows float32 [U, D] to those of ``sums`` float32 [S, D] at ``places`` int64 [U], each of which comes once."""
    _add_rows(sums, places, np.ascontiguousarray(rows))


@kernel(f"void({_IDS}, {_IDS}, bool_[::1])")
def _mark(ids: Ids, others: Ids, found: Bools) -> None:
    at = 0
    for place in range(len(ids)):
        while at < len(others) and others[at] < ids[place]:
            at += 1
        found[place] = at < len(others) and others[at] == ids[place]


@kernel(f"int64({_IDS}, {_IDS}, int64[:, ::1])")
def _part(ids: Ids, others: Ids, places: I64) -> int:
    at = apart = 0
    for place in range(len(ids)):
        while at < len(others) and others[at] < ids[place]:
            at += 1
        if at < len(others) and others[at] == ids[place]:
            places[1, place - apart] = place
        else:
            places[0, apart] = place
            apart += 1
    return apart


@kernel(f"int64({_IDS}, {_IDS}, int64[::1])")
def _merge(first: Ids, second: Ids, both: Ids) -> int:
    i = j = count = 0
    while i < len(first) and j < len(second):
        one, other = first[i], second[j]
        both[count] = min(one, other)
        i += one <= other
        j += other <= one
        count += 1
    while i < len(first):
        both[count] = first[i]
        i += 1
        count += 1
    while j < len(second):
        both[count] = second[j]
        j += 1
        count += 1
    return count


@kernel(f"void({_IDS}, {_IDS}, int64[::1])")
def _find_places(all_ids: Ids, ids: Ids, places: I64) -> None:
    at = 0
    for place in range(len(ids)):
        while all_ids[at] < ids[place]:
            at += 1
        places[place] = at


@kernel("void(float32[:, ::1], int64[::1], Array(float32, 2, 'C', readonly=True))")
def _put_rows(rows: F32, places: I64, values: F32) -> None:
    for place in range(len(places)):
        for column in range(rows.shape[1]):
            rows[places[place], column] = values[place, column]


@kernel("void(float32[:, ::1], int64[::1], Array(float32, 2, 'C', readonly=True))")
def _add_rows(sums: F32, places: I64, rows: F32) -> None:
    for place in range(len(places)):
        for column in range(rows.shape[1]):
            sums[places[place], column] = sums[places[place], column] + rows[place, column]
