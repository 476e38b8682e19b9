"""Walks along ascending ids give what NumPy's set operations give."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from esmm_dist.arrays import Ids
from esmm_dist.kernels import sorted_ids
from tests.support.reference import sorted_ids as reference

NUMBERS = st.integers(-6, 6) | st.integers(-(2**63), 2**63 - 1)
IDS = st.sets(NUMBERS, max_size=12).map(lambda ids: read_only(np.array(sorted(ids), dtype=np.int64)))
FLOATS = st.floats(width=32)


def read_only(ids: Ids) -> Ids:
    ids.flags.writeable = False  # as those that come from the wire
    return ids


@given(ids=IDS, others=IDS)
def test_ids_among_others(ids, others):
    np.testing.assert_array_equal(sorted_ids.are_among(ids, others), reference.are_among(ids, others))


@given(ids=IDS, others=IDS)
def test_places_of_ids_apart_from_others_and_among_them(ids, others):
    apart, among = sorted_ids.places_apart(ids, others)
    found = reference.are_among(ids, others)
    np.testing.assert_array_equal(apart, np.flatnonzero(~found))
    np.testing.assert_array_equal(among, np.flatnonzero(found))


@given(data=st.data(), ids=IDS, others=IDS)
def test_rows_are_put_in_their_places(data, ids, others):
    both = reference.union(ids, others)
    rows = np.arange(3.0 * len(both), dtype=np.float32).reshape(-1, 3)
    values = data.draw(st_numpy.arrays(np.float32, (len(ids), 3), elements=FLOATS))
    values.flags.writeable = False
    places, expected = reference.places_in(both, ids), rows.copy()
    expected[places] = values
    sorted_ids.put_rows(rows, places, values)
    np.testing.assert_array_equal(rows.view(np.int32), expected.view(np.int32))


@given(first=IDS, second=IDS)
def test_union_is_ascending_and_holds_each_id_once(first, second):
    np.testing.assert_array_equal(sorted_ids.union(first, second), reference.union(first, second))


@given(ids=IDS, others=IDS)
def test_places_in_an_array_that_holds_them_all(ids, others):
    both = reference.union(ids, others)
    np.testing.assert_array_equal(sorted_ids.places_in(both, ids), reference.places_in(both, ids))


@given(data=st.data(), ids=IDS, others=IDS)
def test_rows_are_added_to_the_bit(data, ids, others):
    both = reference.union(ids, others)
    sums = data.draw(st_numpy.arrays(np.float32, (len(both), 3), elements=FLOATS))
    rows = data.draw(st_numpy.arrays(np.float32, (len(ids), 3), elements=FLOATS))
    places, expected = reference.places_in(both, ids), sums.copy()
    with np.errstate(all="ignore"):
        reference.add_rows(expected, places, rows)
    sorted_ids.add_rows(sums, places, rows)
    np.testing.assert_array_equal(sums.view(np.int32)[~np.isnan(sums)], expected.view(np.int32)[~np.isnan(expected)])
    np.testing.assert_array_equal(np.isnan(sums), np.isnan(expected))
