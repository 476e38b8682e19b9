"""The ids of ranges of buckets: whole, in order, and each hashed once."""

import numpy as np
import pytest

from esmm_dist.embedding.bucket_places import places_by_range
from esmm_dist.embedding.placement import bucket_of, bucket_ranges_within


@pytest.mark.parametrize(
    "ranges",
    [
        [(0, 4096)],
        bucket_ranges_within(0, 4096, parts=7),
        bucket_ranges_within(1000, 1900, parts=3),  # a server's own
        bucket_ranges_within(0, 4096, parts=4096),
    ],
)
def test_each_range_has_the_places_of_its_ids_in_order(ranges):
    ids = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 5000)
    buckets = bucket_of(ids)
    found = places_by_range(ids, ranges)
    assert len(found) == len(ranges)
    for (first, last), places in zip(ranges, found, strict=True):
        np.testing.assert_array_equal(places, np.flatnonzero((buckets >= first) & (buckets < last)))


def test_no_ids_have_no_places():
    assert [len(places) for places in places_by_range(np.empty(0, np.int64), [(0, 9), (9, 4096)])] == [0, 0]
