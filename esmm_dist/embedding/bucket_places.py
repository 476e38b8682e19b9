"""Which ids lie in which range of buckets, found in one pass over the ids: what a checkpoint's files are cut by."""

from collections.abc import Sequence

import numpy as np

from esmm_dist.arrays import Ids
from esmm_dist.embedding.placement import NUM_BUCKETS
from esmm_dist.kernels.bucket_groups import group_by_bucket


def places_by_range(ids: Ids, ranges: Sequence[tuple[int, int]]) -> list[Ids]:
    """Return, for each range ``[first, last)`` of buckets, the places of the ids whose bucket lies in it.

    Hashes each id once, however many ranges there are. Takes 10 bytes an id.

    Args:
        ids: int64 [n], contiguous
        ranges: ranges of buckets that have none in common

    Returns:
        int64, ascending, for each range.
    """
    elsewhere = len(ranges)
    group_of_bucket = np.full(NUM_BUCKETS, elsewhere, dtype=np.uint16)
    for group, (first, last) in enumerate(ranges):
        group_of_bucket[first:last] = group
    ends, places = np.empty(elsewhere + 1, dtype=np.int64), np.empty(len(ids), dtype=np.int64)
    group_by_bucket(ids, group_of_bucket, np.empty(len(ids), dtype=np.uint16), ends, places)
    return np.split(places, ends[:-1])[:-1]
