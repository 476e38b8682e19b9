"""Products of a sparse matrix and rows of floats: what pooling is, forward and backward."""

import numpy as np

from esmm_dist.arrays import F32, I32, I64
from esmm_dist.kernels.compiled import kernel
from esmm_dist.kernels.line_sums import LINE, sum_line


@kernel(
    'int32(Tuple((int64[::1], int32[::1], float32[::1])), Array(float32, 2, "C", readonly=True), float32[:, ::1],'
    " int64, int64)"
)
def multiply(matrix: tuple[I64, I32, F32], rows: F32, product: F32, first: int, end: int) -> np.int32:
    """Write some rows of the product of a sparse matrix and rows; added in the order of the matrix, in float32.

    Args:
        matrix: begins of the matrix's rows int64 [S + 1], columns int32 [N], and values float32 [N]
        rows: float32 [U, D], which may be a read-only view of a message
        product: float32 [S, D], of which rows ``first .. end`` are written
        first: first row to write
        end: row after the last one to write

    Returns:
        The largest absolute value that was written, as the bits of a float32 without its sign: not a number is larger
        than infinity, and infinity than all others.
    """
    begins, columns, values = matrix
    dim = rows.shape[1]
    whole = dim - dim % LINE
    bits = product.view(np.int32)
    largest, largest_of_lines = np.int32(0), np.zeros(LINE, np.int32)
    for number in range(first, end):
        for column in range(0, whole, LINE):
            sum_line(product, (number, column), matrix, rows, largest_of_lines)
        for column in range(whole, dim):
            total = np.float32(0)
            for place in range(begins[number], begins[number + 1]):
                total += values[place] * rows[columns[place], column]
            product[number, column] = total
            largest = max(largest, bits[number, column] & np.int32(0x7FFFFFFF))
    return max(largest, largest_of_lines.max())


@kernel("void(int64[::1], float32[::1], float32[:, ::1])")
def weight_norms(begins: I64, values: F32, norms: F32) -> None:
    """Write sqrt(Σ w²) of each row of a sparse matrix, and 1 where it is less.

    Args:
        begins: begins of the matrix's rows int64 [S + 1]
        values: float32 [N]
        norms: float32 [S, 1], to be written to
    """
    for number in range(len(norms)):
        total = np.float32(0)
        for place in range(begins[number], begins[number + 1]):
            total += values[place] * values[place]
        norms[number, 0] = np.sqrt(max(total, np.float32(1)))


@kernel(
    "void(Tuple((int64[::1], int32[::1])), Tuple((int64, int64)), int64[::1], int64[::1])",
)
def count_impressions(ids: tuple[I64, I32], fields: tuple[int, int], impressions_per_group: I64, counts: I64) -> None:
    """Count the impressions that hold each id; one that holds it twice, itself or through its user, counts once.

    Args:
        ids: begins of the ids int64 [U + 1], and the segments that hold each, ascending, int32 [N]: first those of the
            users, a field after the other, then those of the impressions; what is behind them repeats these and counts
            no more
        fields: number of fields of the users and of the impressions
        impressions_per_group: int64 [G]
        counts: int64 [U], to be written to
    """
    begins, segments = ids
    user_fields, impression_fields = fields
    of_users = len(impressions_per_group) * user_fields
    group_of = np.repeat(np.arange(len(impressions_per_group)), impressions_per_group)
    of_fields = of_users + len(group_of) * impression_fields
    for number in range(len(counts)):
        count, last = 0, -1
        first, end = begins[number], begins[number + 1]
        place = first
        while place < end and segments[place] < of_users:
            group = segments[place] // user_fields
            if group != last:
                count += impressions_per_group[group]
                last = group
            place += 1
        users_end, user, last = place, first, -1
        while place < end and segments[place] < of_fields:
            impression = (segments[place] - of_users) // impression_fields
            place += 1
            if impression == last:
                continue
            last = impression
            group = group_of[impression]  # ascending, as are the users' segments
            while user < users_end and segments[user] // user_fields < group:
                user += 1
            if user == users_end or segments[user] // user_fields != group:
                count += 1
        counts[number] = count
