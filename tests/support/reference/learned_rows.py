"""What ``esmm_dist/kernels/learned_rows.py`` computes, for all rows at once."""

import numpy as np

from esmm_dist.arrays import F32, I32, I64, Bools


def differing_rows(rows: F32, starts: F32, picks: I64) -> Bools:
    """Return whether each row differs from the start row that its id picks: bool [U]."""
    different: Bools = (rows != starts[picks]).any(axis=1)
    return different


def lists_with(begins: I64, places: I32, chosen: Bools) -> Bools:
    """Return whether each list holds a chosen id: bool [S]."""
    found = np.zeros(len(begins) - 1, np.bool_)
    found[np.repeat(np.arange(len(found)), np.diff(begins))[chosen[places]]] = True
    return found
