"""The grouping of ids by bucket, against plain NumPy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from esmm_dist.kernels.bucket_groups import group_by_bucket
from tests.support.reference.bucket_groups import grouped_by_bucket

INT64 = st.integers(-(2**63), 2**63 - 1)


@given(arrays(np.int64, st.integers(0, 200), elements=INT64), st.integers(0, 12), st.integers(1, 9), st.integers(0, 99))
def test_ids_are_grouped_as_numpy_groups_them(ids, bits, num_groups, seed):
    group_of_bucket = np.random.default_rng(seed).integers(0, num_groups, 1 << bits).astype(np.uint16)
    expected_ends, expected_places = grouped_by_bucket(ids, group_of_bucket, num_groups)
    ends, places = np.empty(num_groups, np.int64), np.empty(len(ids), np.int64)
    group_by_bucket(ids, group_of_bucket, np.empty(len(ids), np.uint16), ends, places)
    np.testing.assert_array_equal(ends, expected_ends)
    np.testing.assert_array_equal(places, expected_places)
