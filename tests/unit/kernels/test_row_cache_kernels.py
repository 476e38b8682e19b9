"""The kernels of the row cache do what their reference does, place by place."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.kernels.row_cache import find_codes, put_codes, remove_codes, split_lines
from tests.support.reference.row_cache import ReferenceLines

CALLS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "remove", "find", "grow"]),
        st.lists(st.integers(-40, 40) | st.integers(-(2**63), 2**63 - 1), max_size=25, unique=True),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(st.integers(1, 9), CALLS)
def test_any_calls_leave_the_lines_as_the_reference_has_them(num_lines: int, calls: list[tuple[str, list[int]]]):
    lines, reference = np.zeros((400, 8), dtype=np.int64), ReferenceLines(num_lines)
    for call, chosen in calls:
        ids = np.array(chosen, dtype=np.int64)
        codes = np.where(ids % 3 == 0, -2 - np.arange(len(ids)), np.arange(len(ids)))
        before = int((lines[:, 4:] != 0).sum())
        if call == "put":
            added = put_codes(lines, num_lines, ids, codes)
            for id_, code in zip(ids.tolist(), codes.tolist(), strict=True):
                reference.put(id_, code)
            assert added == int((lines[:, 4:] != 0).sum()) - before
        elif call == "remove":
            removed = remove_codes(lines, num_lines, ids)
            for id_ in chosen:
                reference.remove(id_)
            assert removed == before - int((lines[:, 4:] != 0).sum())
        elif call == "grow":
            split_lines(lines, num_lines, num_lines + len(ids))
            num_lines += len(ids)
            reference.grow(num_lines)
        else:
            found = np.empty(len(ids), dtype=np.int64)
            find_codes(lines, num_lines, ids, found)
            assert found.tolist() == [reference.find(id_) for id_ in chosen]
        np.testing.assert_array_equal(lines[:num_lines], reference.array())
        assert not lines[num_lines:].any()
