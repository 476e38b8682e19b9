"""The kernels of the map from ids to row numbers do what their reference does, place by place."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.kernels.id_map import find_numbers, put_numbers, read_pairs, remove_numbers
from tests.support.reference.id_map import PLACES, ReferenceIdMap

CALLS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "remove", "find"]),
        st.lists(st.integers(-20, 20) | st.integers(-(2**63), 2**63 - 1), max_size=25, unique=True),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(st.integers(1, 6), CALLS)  # few lines: most pairs are beyond the line where their search begins
def test_any_calls_leave_the_lines_as_the_reference_has_them(num_lines: int, calls: list[tuple[str, list[int]]]):
    lines, reference = np.zeros((num_lines, 8), dtype=np.int64), ReferenceIdMap(num_lines)
    words = lines.view(np.uint32)
    for call, chosen in calls:
        if call == "put":  # up to the last place
            room = num_lines * PLACES - len(reference.pairs())
            chosen = [id_ for id_ in chosen if reference.find(id_) >= 0] + [
                id_ for id_ in chosen if reference.find(id_) < 0
            ][:room]
        ids = np.array(chosen, dtype=np.int64)
        numbers = np.where(ids % 3 == 0, 2**32 - 2 - np.arange(len(ids)), np.arange(len(ids)))
        before = len(reference.pairs())
        if call == "put":
            added = put_numbers(lines, words, num_lines, ids, numbers)
            for id_, number in zip(chosen, numbers.tolist(), strict=True):
                reference.put(id_, number)
            assert added == len(reference.pairs()) - before
        elif call == "remove":
            removed = remove_numbers(lines, words, num_lines, ids)
            for id_ in chosen:
                reference.remove(id_)
            assert removed == before - len(reference.pairs())
        else:
            found = np.empty(len(ids), dtype=np.int64)
            find_numbers(lines, words, num_lines, ids, found)
            assert found.tolist() == [reference.find(id_) for id_ in chosen]
        expected_ids, expected_words = reference.arrays()
        np.testing.assert_array_equal(lines[:, :PLACES], expected_ids)
        np.testing.assert_array_equal(words[:, 2 * PLACES :], expected_words)
    ids, numbers = np.empty((2, num_lines * PLACES), dtype=np.int64)
    count = read_pairs(lines, words, 0, num_lines, ids, numbers)
    assert dict(zip(ids[:count].tolist(), numbers[:count].tolist(), strict=True)) == reference.pairs()
