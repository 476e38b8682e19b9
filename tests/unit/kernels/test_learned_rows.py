"""Rows that differ from their start rows: as NumPy finds them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.kernels.learned_rows import differing_rows, lists_with
from tests.support.reference import learned_rows as reference


@given(st.integers(0, 20), st.integers(1, 4), st.integers(0, 999))
def test_differing_rows_are_those_of_the_reference(size, dim, seed):
    random = np.random.default_rng(seed)
    values = np.array([0.0, -0.0, 1.5, np.nan], np.float32)  # 0.0 equals -0.0, and NaN nothing
    starts, rows = random.choice(values, (5, dim)), random.choice(values, (size, dim))
    picks = random.integers(0, 5, size)
    rows[: size // 2] = starts[picks[: size // 2]]
    differ = np.empty(size, np.bool_)
    differing_rows(rows, starts, picks, differ)
    np.testing.assert_array_equal(differ, reference.differing_rows(rows, starts, picks))


def test_a_difference_in_the_last_column_alone_is_found():
    starts = np.zeros((1, 3), np.float32)
    rows, differ = np.array([[0, 0, 1], [0, 0, 0]], np.float32), np.empty(2, np.bool_)
    differing_rows(rows, starts, np.zeros(2, np.int64), differ)
    assert differ.tolist() == [True, False]


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(1, 6), st.integers(0, 999))
def test_lists_with_a_chosen_id_are_those_of_the_reference(lengths, num_ids, seed):
    random = np.random.default_rng(seed)
    begins = np.concatenate([[0], np.cumsum(np.array(lengths, np.int64))])
    places = random.integers(0, num_ids, begins[-1]).astype(np.int32)
    chosen, found = random.random(num_ids) < 0.4, np.empty(len(lengths), np.bool_)
    lists_with(begins, places, chosen, found)
    np.testing.assert_array_equal(found, reference.lists_with(begins, places, chosen))
