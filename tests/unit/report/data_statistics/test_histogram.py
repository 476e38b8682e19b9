"""Histograms of counts, against NumPy on the counts themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.report.data_statistics.histogram import CountTally, bin_begins, count_histogram


def test_bins_are_single_counts_up_to_100_and_grow_by_a_quarter():
    begins = bin_begins(2_000).tolist()
    assert begins[:101] == list(range(101))
    assert begins[101:] == [125, 160, 200, 250, 320, 400, 500, 640, 800, 1000, 1250, 1600, 2000]
    assert bin_begins(3).tolist() == [0, 1, 2, 3]


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=200))
@settings(max_examples=60, deadline=None)
def test_a_histogram_is_that_of_the_counts(counts: list[int]):
    found = count_histogram(np.array(counts), np.ones(len(counts)))
    assert found.total == len(counts)
    assert found.mean == pytest.approx(np.mean(counts))
    assert found.p99 == np.percentile(counts, 99, method="inverted_cdf")
    edges = [*bin_begins(max(counts)).tolist(), 10**9]
    numbers, _ = np.histogram(counts, edges)
    shown = dict(zip(found.counts, found.things, strict=True))
    assert shown == {begin: number for begin, number in zip(edges, numbers.tolist(), strict=False) if number}


def test_a_tally_over_batches_is_the_histogram_of_all():
    tally = CountTally()
    tally.add(np.array([0, 2, 2]), np.array([5, 1, 1]))
    tally.add(np.array([700]), np.array([2]))
    tally.add(np.array([], np.int64), np.array([], np.int64))
    assert (tally.without, tally.sum) == (5, 1404)
    found = tally.histogram()
    assert (found.counts, found.things, found.total, found.p99) == ([0, 2, 640], [5, 2, 2], 9, 700)
    assert found.mean == pytest.approx(1404 / 9)


def test_of_nothing_there_is_an_empty_histogram():
    found = CountTally().histogram()
    assert (found.counts, found.things, found.total, found.mean, found.p99) == ([], [], 0, 0.0, 0)
