"""Pool the rows of multi-valued fields, and spread the gradients of what was pooled over the rows; on the CPU.

Rows come from this machine's memory and their gradients go there, so pooling is done beside them: the towers, on a GPU
where there is one, are sent the pooled vectors, float32 [S, D], a third of the bytes of rows, places and weights.
Each sum is made by one thread in the order of the batch: the same bits every time, for any number of threads.
"""

import numpy as np

from esmm_dist.arrays import F32
from esmm_dist.embedding.lookup import TableLookup
from esmm_dist.kernels import pooling as kernels
from esmm_dist.kernels.threads import in_ranges

_SQUARE_IS_FINITE = int(np.sqrt(np.finfo(np.float32).max).view(np.int32))
"""Bits of the largest float32 whose square is one too."""


def pool(lookup: TableLookup, rows: F32) -> F32:
    """Return Σ w · row of each segment.

    Args:
        lookup: ids, segments and weights of the batch
        rows: float32 [U, D], the row of each unique id

    Returns:
        float32 [S, D]; zeros for a segment without ids.
    """
    pooled = np.empty((lookup.num_segments, rows.shape[1]), np.float32)
    matrix = (lookup.begins, lookup.places, lookup.weights)
    in_ranges(lambda first, end: kernels.multiply(matrix, rows, pooled, first, end), len(pooled), lookup.begins)
    return pooled


def pool_gradient(lookup: TableLookup, pooled_gradient: F32) -> tuple[F32, bool]:
    """Return the gradient of ``pool`` with respect to its rows, and whether all of it can be used.

    Args:
        lookup: as given to ``pool``
        pooled_gradient: float32 [S, D]

    Returns:
        float32 [U, D], and whether all its values and their squares are finite: Adagrad and Adam keep squares, and a
        row whose accumulator is infinite never moves again.
    """
    gradient = np.empty((len(lookup.ids), pooled_gradient.shape[1]), np.float32)
    matrix = (lookup.id_begins, lookup.id_segments, lookup.id_weights)
    largest = [0]
    in_ranges(
        lambda first, end: largest.append(int(kernels.multiply(matrix, pooled_gradient, gradient, first, end))),
        len(gradient),
        lookup.id_begins,
    )
    return gradient, max(largest) <= _SQUARE_IS_FINITE


def weight_norms(lookup: TableLookup) -> F32:
    """Return sqrt(Σ w²) of each segment of a whole field, and 1 where it is less: float32 [G·F_u + B·F_i, 1]."""
    norms = np.empty((lookup.num_field_segments, 1), np.float32)
    kernels.weight_norms(lookup.begins, lookup.weights, norms)
    return norms
