"""Which rows go into which file of a checkpoint, in plain NumPy: what the kernel is compared with."""

import numpy as np

from esmm_dist.arrays import I64, U16
from esmm_dist.hashing import mix64


def grouped_by_bucket(ids: I64, group_of_bucket: U16, num_groups: int) -> tuple[I64, I64]:
    """Return the end of each group, and the places of the ids in it, ascending: int64 [G], int64 [n]."""
    groups = group_of_bucket[mix64(ids) % np.uint64(len(group_of_bucket))]
    return np.cumsum(np.bincount(groups, minlength=num_groups)), np.argsort(groups, kind="stable")
