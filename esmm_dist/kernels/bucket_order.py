"""Ids in the order (bucket, id), that of the files of a served model: which of them are in another such array."""

import numpy as np

from esmm_dist.arrays import I64, Ids
from esmm_dist.kernels.compiled import kernel

# Those of esmm_dist.hashing, which may itself be built on kernels
_GOLDEN, _MIX_1, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)
_IDS = "Array(int64, 1, 'C', readonly=True)"


@kernel("uint64(int64, uint64)", makes_arrays=False)
def _bucket_of(id_: int, last_bucket: np.uint64) -> np.uint64:
    mixed = np.uint64(id_) + _GOLDEN  # esmm_dist.hashing.mix64 with seed 0
    mixed = (mixed ^ (mixed >> _30)) * _MIX_1
    mixed = (mixed ^ (mixed >> _27)) * _MIX_2
    return (mixed ^ (mixed >> _31)) & last_bucket


@kernel(f"void({_IDS}, {_IDS}, int64, int64[::1])", makes_arrays=False)
def find_places(ids: Ids, others: Ids, buckets: int, places: I64) -> None:
    """Find ids among others by one walk along both.

    Args:
        ids: int64 [n], by (bucket, id), each once
        others: int64 [m], by (bucket, id), each once
        buckets: number of buckets, a power of two
        places: int64 [n], receives the place of each id in ``others``; -1: it is not there
    """
    last_bucket = np.uint64(buckets - 1)
    at = 0
    other_bucket = _bucket_of(others[0], last_bucket) if len(others) else np.uint64(0)
    for place in range(len(ids)):
        id_ = ids[place]
        bucket = _bucket_of(id_, last_bucket)
        while at < len(others) and (other_bucket < bucket or (other_bucket == bucket and others[at] < id_)):
            at += 1
            if at < len(others):
                other_bucket = _bucket_of(others[at], last_bucket)
        places[place] = at if at < len(others) and others[at] == id_ else -1
