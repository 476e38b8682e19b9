"""Which rows have been learned, those that differ from the rows that their ids start with; and which lists hold one."""

from esmm_dist.arrays import F32, I32, I64, Bools
from esmm_dist.kernels.compiled import kernel


@kernel("void(float32[:, ::1], float32[:, ::1], int64[::1], boolean[::1])")
def differing_rows(rows: F32, starts: F32, picks: I64, differ: Bools) -> None:
    """Compare each row with a start row, up to the first column that differs.

    Args:
        rows: float32 [U, D]
        starts: float32 [C, D], the start rows that there are
        picks: int64 [U], the start row of each id
        differ: bool [U], receives whether any column differs; a NaN does
    """
    for number in range(len(picks)):
        pick = picks[number]
        found = False
        for column in range(rows.shape[1]):
            if rows[number, column] != starts[pick, column]:
                found = True
                break
        differ[number] = found


@kernel("void(int64[::1], int32[::1], boolean[::1], boolean[::1])")
def lists_with(begins: I64, places: I32, chosen: Bools, found: Bools) -> None:
    """Find the lists that hold a chosen id.

    Args:
        begins: int64 [S + 1]: where each list begins in ``places``, and N
        places: int32 [N]: place in ``chosen`` of each id
        chosen: bool [U]
        found: bool [S], receives whether any id of the list is chosen
    """
    for number in range(len(found)):
        any_is = False
        for place in range(begins[number], begins[number + 1]):
            if chosen[places[place]]:
                any_is = True
                break
        found[number] = any_is
