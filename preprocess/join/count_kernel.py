"""Count the rows that hold each id, with a hash table, without the interpreter lock.

The table is int64 [slots, 2], slots a power of two: an id, and how often it was counted (upper 32 bits) beside 1 + the
row that last held it (lower 32 bits); 0 there is a free slot. ``rows`` are lengths int32 [R, F], ids int64 [N], and
where the features of the next field begin in each row, int64 [R], which moves on with each field that is counted.
"""

import numpy as np

from esmm_dist.arrays import I32, I64
from esmm_dist.kernels.compiled import kernel

ROWS = "Tuple((int32[:, ::1], int64[::1], int64[::1]))"
_GOLDEN = 0x9E3779B97F4A7C15
_ROW_BITS = 0xFFFFFFFF


@kernel("int64(int64[:, ::1], int64)", makes_arrays=False)
def _slot(table, value):  # type: ignore[no-untyped-def]
    """Return the slot of an id, or the free one that is to be its own."""
    mask = len(table) - 1
    mixed = np.uint64(value) * np.uint64(_GOLDEN)
    slot = np.int64(mixed ^ (mixed >> np.uint64(32))) & mask
    while table[slot, 1] != 0 and table[slot, 0] != value:
        slot = (slot + 1) & mask
    return slot


@kernel(f"void({ROWS}, int64, int64[::1], int64[:, ::1], int64[::1])", makes_arrays=False)
def count_rows(rows: tuple[I32, I64, I64], field: int, uses: I64, table: I64, state: I64) -> None:
    """Count the ids of one field: once for each use of a row that holds it, however often it stands there.

    Stops before a row for which the table may be too small (more than 3/4 full).

    Args:
        rows: as above
        field: index of the field; fields are counted in their order
        uses: weight of each row, int64 [R]; rows of weight 0 do not count
        table: as above
        state: int64 [2], kept up to date: the next row, and the ids in the table
    """
    lengths, ids, begins = rows
    most = len(table) // 4 * 3
    row, used = state[0], state[1]
    while row < len(uses) and used + lengths[row, field] <= most:
        begin = begins[row]
        end = begin + lengths[row, field]
        begins[row] = end
        if uses[row]:
            for place in range(begin, end):
                slot = _slot(table, ids[place])
                held = table[slot, 1]
                if held == 0:
                    table[slot, 0] = ids[place]
                    used += 1
                if held & _ROW_BITS != row + 1:
                    table[slot, 1] = (held >> 32) + uses[row] << 32 | row + 1
        row += 1
    state[0], state[1] = row, used


@kernel("void(int64[:, ::1], int64[:, ::1])", makes_arrays=False)
def copy_counts(table, larger):  # type: ignore[no-untyped-def]
    """Put the ids of one table into another one, which is empty and larger."""
    for place in range(len(table)):
        if table[place, 1] != 0:
            slot = _slot(larger, table[place, 0])
            larger[slot, 0], larger[slot, 1] = table[place, 0], table[place, 1]
