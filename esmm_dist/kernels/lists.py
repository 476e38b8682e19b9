"""Take the lists of some fields out of a batch, as rows of a sparse matrix."""

import numpy as np

from esmm_dist.arrays import F32, I64
from esmm_dist.kernels.compiled import kernel

TABLE, MAX_IDS, POWER = 0, 1, 2
"""Columns of ``fields``."""


@kernel(
    "void(Tuple((int64[::1], int64[::1], float32[::1])), int64[:, ::1], int64,"
    " Tuple((int64[::1], float32[::1], int64[::1])), int64[::1])"
)
def collect(lists: tuple[I64, I64, F32], fields: I64, table: int, matrix: tuple[I64, F32, I64], filled: I64) -> None:
    """Append the lists of the fields of a table to a matrix: a segment each, cut to its longest length, and weighted.

    Args:
        lists: lengths int64 [n * F], one list a field, all fields of an owner after each other; ids int64 [N]; weights
            float32 [N], or [0] where all are 1
        fields: int64 [F, 3]: table (-1: none), longest length, and power of the norm that divides the weights: 0 none,
            1 Σ w, 2 sqrt(Σ w²); a segment whose norm is 0 stays as it is
        table: number of the table
        matrix: ids int64, weights float32 and ends of the segments int64, to be written to
        filled: int64 [2], segments and ids that the matrix holds; kept up to date
    """
    lengths, ids, weights = lists
    out_ids, out_weights, out_ends = matrix
    weighted = len(weights) > 0
    num_fields = fields.shape[0]
    segments, out, first = filled[0], filled[1], 0
    field = 0
    for number in range(len(lengths)):
        length = lengths[number]
        if fields[field, TABLE] == table:
            kept = min(length, fields[field, MAX_IDS])
            start = out
            for place in range(first, first + kept):
                out_ids[out] = ids[place]
                out_weights[out] = weights[place] if weighted else np.float32(1.0)
                out += 1
            power = fields[field, POWER]
            if power > 0:
                total = np.float64(0)
                for place in range(start, out):
                    wide = np.float64(out_weights[place])  # whose square does not overflow
                    total += wide * wide if power == 2 else wide
                norm = np.sqrt(total) if power == 2 else total
                if norm != 0.0:
                    for place in range(start, out):
                        out_weights[place] = np.float32(np.float64(out_weights[place]) / norm)
            out_ends[segments] = out
            segments += 1
        first += length
        field += 1
        if field == num_fields:
            field = 0
    filled[0], filled[1] = segments, out
