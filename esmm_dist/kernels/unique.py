"""The unique ids of a list, ascending, and where each stands: a radix sort."""

import numpy as np

from esmm_dist.arrays import I32, I64
from esmm_dist.kernels.compiled import kernel

_WIDEST_DIGIT = 12
"""Bits: so many counters stay in a core's first cache."""


@kernel("uint64(int64[::1])")
def _varying_bits(ids):  # type: ignore[no-untyped-def]
    bits = np.uint64(0)
    first = np.uint64(ids[0])
    for id_ in ids:
        bits |= np.uint64(id_) ^ first
    return bits


@kernel("void(Tuple((uint64[::1], int32[::1])), Tuple((uint64[::1], int32[::1])), uint64, uint64)")
def _sort_by_digit(given, found, shift, width):  # type: ignore[no-untyped-def]
    keys, order = given
    sorted_keys, sorted_order = found
    mask = (np.uint64(1) << width) - np.uint64(1)
    place = np.zeros(int(mask) + 2, np.int64)
    for key in keys:
        place[int((key >> shift) & mask) + 1] += 1
    for digit in range(1, len(place)):
        place[digit] += place[digit - 1]
    for number in range(len(keys)):
        key = keys[number]
        digit = int((key >> shift) & mask)
        at = place[digit]
        place[digit] = at + 1
        sorted_keys[at] = key
        sorted_order[at] = order[number]


@kernel("int64(int64[::1], int64[::1], int32[::1], int32[::1], int64[::1])")
def sorted_unique(ids: I64, unique: I64, places: I32, order: I32, starts: I64) -> int:
    """Find the unique ids of a list.

    Only the bits in which the ids differ are sorted by: two passes for the 4.5 M ids of Ali-CCP, six for hashes.

    Args:
        ids: int64 [N]
        unique: int64 [N], receives the unique ids, ascending
        places: int32 [N], receives the place of each id among them
        order: int32 [N], receives the places in ``ids`` that hold the first unique id, ascending, then the second, ...
        starts: int64 [N + 1], receives where in ``order`` each unique id begins, and N at the end

    Returns:
        U, the number of unique ids.
    """
    length = len(ids)
    starts[0] = 0
    if length == 0:
        return 0
    sign = np.uint64(1) << np.uint64(63)
    keys, other_keys = np.empty(length, np.uint64), np.empty(length, np.uint64)
    other_order = np.empty(length, np.int32)
    for number in range(length):
        keys[number] = np.uint64(ids[number]) ^ sign  # in the order of signed numbers
        order[number] = number
    bits = _varying_bits(ids)
    lowest, highest = np.uint64(0), np.uint64(64)
    while lowest < 64 and not (bits >> lowest) & np.uint64(1):
        lowest += np.uint64(1)
    while highest > lowest and not (bits >> (highest - np.uint64(1))) & np.uint64(1):
        highest -= np.uint64(1)
    varying = int(highest - lowest)
    passes = (varying + _WIDEST_DIGIT - 1) // _WIDEST_DIGIT
    width = np.uint64((varying + passes - 1) // passes) if passes else np.uint64(1)
    given, found = (keys, order), (other_keys, other_order)
    for number in range(passes):
        _sort_by_digit(given, found, lowest + np.uint64(number) * width, width)
        given, found = found, given
    keys, sorted_order = given
    count = -1
    last = ~keys[0]
    for number in range(length):
        key = keys[number]
        if key != last:
            count += 1
            last = key
            unique[count] = np.int64(key ^ sign)
            starts[count] = number
        places[sorted_order[number]] = count
    if passes % 2:
        order[:] = sorted_order
    count += 1
    starts[count] = length
    return count
