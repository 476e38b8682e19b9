"""Which rows go into which file of a checkpoint."""

import numpy as np

from esmm_dist.arrays import I64, U16
from esmm_dist.kernels.compiled import kernel

# Those of esmm_dist.hashing, which may itself be built on kernels
_GOLDEN, _MIX_1, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@kernel("void(int64[::1], uint16[::1], uint16[::1], int64[::1], int64[::1])")
def group_by_bucket(ids: I64, group_of_bucket: U16, groups: U16, ends: I64, numbers: I64) -> None:
    """Sort the places of ids by the group of their bucket; hashes each id once.

    Args:
        ids: int64 [n]
        group_of_bucket: uint16 [number of buckets, a power of two], each below G
        groups: uint16 [n], scratch
        ends: int64 [G]; gets the end of each group in ``numbers``
        numbers: int64 [n]; gets the places 0 .. n-1, group after group, ascending within each
    """
    shift_1, shift_2, shift_3 = np.uint64(30), np.uint64(27), np.uint64(31)
    last_bucket = np.uint64(len(group_of_bucket) - 1)
    ends[:] = 0
    for place in range(len(ids)):
        mixed = np.uint64(ids[place]) + _GOLDEN  # esmm_dist.hashing.mix64 with seed 0
        mixed = (mixed ^ (mixed >> shift_1)) * _MIX_1
        mixed = (mixed ^ (mixed >> shift_2)) * _MIX_2
        group = group_of_bucket[(mixed ^ (mixed >> shift_3)) & last_bucket]
        groups[place] = group
        ends[group] += 1
    first = 0
    for group in range(len(ends)):
        length = ends[group]
        ends[group] = first
        first += length
    for place in range(len(ids)):
        group = groups[place]
        numbers[ends[group]] = place
        ends[group] += 1
