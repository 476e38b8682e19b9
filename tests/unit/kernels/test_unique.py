"""The radix sort behind a batch's unique ids, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.kernels.unique import sorted_unique

SMALLEST, LARGEST = -(2**63), 2**63 - 1


def check(ids: np.ndarray) -> None:
    length = len(ids)
    unique, places = np.full(length, -5), np.full(length, -5, np.int32)
    order, starts = np.full(length, -5, np.int32), np.full(length + 1, -5)
    count = sorted_unique(ids, unique, places, order, starts)
    expected, inverse, counts = np.unique(ids, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(unique[:count], expected)
    np.testing.assert_array_equal(places, inverse)
    np.testing.assert_array_equal(order, np.argsort(ids, kind="stable"))
    np.testing.assert_array_equal(starts[: count + 1], np.concatenate([[0], np.cumsum(counts)]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(SMALLEST, LARGEST) | st.integers(-3, 3) | st.sampled_from([SMALLEST, LARGEST, 1 << 40])))
def test_any_ids(ids):
    check(np.array(ids, np.int64))


@pytest.mark.parametrize("bits", [1, 11, 12, 13, 23, 24, 25, 36, 63])
@pytest.mark.parametrize("offset", [0, -(1 << 45), 1 << 62])
def test_ids_that_differ_in_so_many_bits(bits, offset):
    random = np.random.default_rng(bits)
    check(random.integers(0, 1 << bits, 3000) + offset if bits < 62 else random.integers(SMALLEST, LARGEST, 3000))


def test_ids_whose_lowest_bits_are_equal():
    check(np.random.default_rng(0).integers(0, 50, 1000) << 20)


@pytest.mark.parametrize("ids", [[], [7], [7, 7, 7], [SMALLEST, LARGEST], [0, -1]])
def test_few_ids(ids):
    check(np.array(ids, np.int64))
