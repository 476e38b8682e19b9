"""Whether numbers are finite, in one pass without an array of answers."""

import numpy as np

from esmm_dist.arrays import F32
from esmm_dist.kernels.compiled import kernel

_INFINITY = int(np.float32(np.inf).view(np.int32))


def are_finite(values: F32) -> bool:
    """Return whether all values, float32 of any shape, are finite."""
    return bool(_largest(np.ascontiguousarray(values).reshape(-1)) < _INFINITY)


@kernel("int32(Array(float32, 1, 'C', readonly=True))", makes_arrays=False)
def _largest(values: F32) -> np.int32:
    """Return the bits of the largest absolute value; those of what is not a number are above infinity's."""
    bits = values.view(np.int32)
    largest = np.int32(0)
    for place in range(len(bits)):
        largest = max(largest, bits[place] & np.int32(0x7FFFFFFF))
    return largest
