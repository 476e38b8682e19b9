"""Ids by (bucket, id): their places among others."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.embedding.placement import NUM_BUCKETS
from esmm_dist.kernels.bucket_order import find_places
from esmm_dist.served_model.layers import in_bucket_order

_ids = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 30), unique=True, max_size=30)


@given(_ids, _ids, st.data())
def test_places_are_those_of_a_search_of_each_id(ids, others, data):
    others += data.draw(st.lists(st.sampled_from(ids), unique=True)) if ids else []
    ids, others = (np.array(sorted(set(each)), dtype=np.int64) for each in (ids, others))
    ids, others = (each[in_bucket_order(each)] for each in (ids, others))
    places = np.full(len(ids), -7)
    find_places(ids, others, NUM_BUCKETS, places)
    expected = [next((i for i, other in enumerate(others) if other == id_), -1) for id_ in ids]
    assert places.tolist() == expected
