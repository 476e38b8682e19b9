"""Which bucket an id belongs to. Buckets move between servers and checkpoint files as units."""

import itertools

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.hashing import mix64

NUM_BUCKETS = 4096
"""Fixed for the life of a table: a checkpoint of any number of servers splits at bucket borders (DESIGN section 6)."""

_PLACEMENT_SEED = 0


def bucket_of(ids: I64) -> I64:
    """Return the bucket of each id: ``mix64(id) mod 4096``, int64 [U] in [0, 4096)."""
    return (mix64(ids, _PLACEMENT_SEED) % np.uint64(NUM_BUCKETS)).astype(np.int64)


def bucket_ranges(parts: int) -> list[tuple[int, int]]:
    """Split all buckets into ``parts`` ranges ``[first, last)``, in order, equal to within one bucket.

    Bucket b lies in range ``b * parts // 4096``.
    """
    if not 1 <= parts <= NUM_BUCKETS:
        raise ValueError(f"parts is {parts}; it must be in 1..{NUM_BUCKETS}")
    borders = [-(-part * NUM_BUCKETS // parts) for part in range(parts + 1)]
    return list(itertools.pairwise(borders))


def bucket_ranges_within(first_bucket: int, last_bucket: int, *, parts: int) -> list[tuple[int, int]]:
    """Split buckets ``[first_bucket, last_bucket)`` into up to ``parts`` ranges, equal to within one bucket."""
    buckets = last_bucket - first_bucket
    parts = max(1, min(parts, buckets))
    borders = [first_bucket + part * buckets // parts for part in range(parts + 1)]
    return list(itertools.pairwise(borders))


def server_of(ids: I64, num_servers: int) -> I64:
    """Return the index of the server that holds each id, int64 [U]: ``bucket * servers // 4096``."""
    return bucket_of(ids) * num_servers // NUM_BUCKETS
