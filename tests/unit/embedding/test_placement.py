"""The buckets that follow from the hash of ids."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.embedding.placement import NUM_BUCKETS, bucket_of, bucket_ranges
from tests.unit.hashing.test_hashing import int64s, splitmix


@given(st.lists(int64s, max_size=20))
def test_a_bucket_is_the_hash_modulo_4096(ids):
    assert bucket_of(np.array(ids, dtype=np.int64)).tolist() == [splitmix(i, 0) % 4096 for i in ids]


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 64, 1000, 4095, 4096])
def test_ranges_partition_the_buckets_and_bucket_b_lies_in_range_b_times_n_over_4096(parts):
    ranges = bucket_ranges(parts)
    assert len(ranges) == parts
    place = [number for number, (first, last) in enumerate(ranges) for _ in range(first, last)]
    assert place == [bucket * parts // NUM_BUCKETS for bucket in range(NUM_BUCKETS)]


@pytest.mark.parametrize("parts", [0, -1, 4097])
def test_a_number_of_ranges_that_buckets_cannot_fill_is_refused(parts):
    with pytest.raises(ValueError, match=rf"parts is {parts}; it must be in 1\.\.4096"):
        bucket_ranges(parts)
