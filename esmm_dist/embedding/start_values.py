"""The value of a row that has not been learned yet."""

import numpy as np

from esmm_dist.arrays import F32, I64
from esmm_dist.hashing import mix64

PICK_BITS = 16
"""An id's start row is the one of this many leading bits of its hash."""


class StartValues:
    """Start rows as a function of (seed, id, column) alone: the same in every process, at any time.

    An id's hash picks one of 2^16 rows that are drawn once from the seed, uniform in [-scale, scale). Two ids share a
    start row with probability 2^-16, which is harmless; picking is ten times faster than hashing every
    column of every unseen id.
    """

    def __init__(self, *, embedding_dim: int, scale: float, seed: int) -> None:
        """Draw the start rows.

        Args:
            embedding_dim: columns of a row, D
            scale: half width of the uniform distribution; 0 starts every row at zero
            seed: seed of the start values
        """
        self._seed = seed
        cells = np.arange((1 << PICK_BITS) * embedding_dim, dtype=np.int64)
        uniform = (mix64(cells, seed + 1) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)  # [0, 1), exact
        self._rows = ((uniform * 2 - 1) * np.float32(scale)).reshape(-1, embedding_dim)

    @property
    def choices(self) -> F32:
        """The rows that ids start with, float32 [2^PICK_BITS, D]; not a copy."""
        return self._rows

    def rows(self, ids: I64) -> F32:
        """Return the start rows of ids int64 [U]: float32 [U, D]."""
        return self._rows.take(self.picks(ids), axis=0)

    def picks(self, ids: I64) -> I64:
        """Return which of ``choices`` each id starts with: int64 [U]."""
        return (mix64(ids, self._seed) >> np.uint64(64 - PICK_BITS)).astype(np.int64)
