"""The bars of numeric fields."""

import numpy as np
import pytest

from esmm_dist.report.data_page.id_frequency import _how_many_occur
from esmm_dist.report.data_page.numeric_fields import MOST_BARS, bars_of


@pytest.mark.parametrize("buckets", [1, 2, 39, 40, 41, 80, 81, 244])
def test_many_buckets_are_few_bars_that_hold_as_many_impressions(buckets: int):
    shares = np.random.default_rng(0).random(buckets).tolist()
    edges, (bars,) = bars_of([float(each) for each in range(1, buckets)], [shares])
    assert len(bars) == len(edges) + 1 <= MOST_BARS
    assert sum(bars) == pytest.approx(sum(shares))
    # bucket i holds values of [i, i + 1): what lies below an edge is in the bars before it
    for place, edge in enumerate(edges):
        assert sum(bars[: place + 1]) == pytest.approx(sum(shares[: int(edge)]))
    if buckets <= MOST_BARS:
        assert bars == pytest.approx(shares)


def test_what_is_said_of_frequent_ids_is_a_sentence():
    told = {
        (726, 726): "All of them occur",
        (9, 0): "None of them occurs",
        (9, 1): "1 of them occurs",
        (9, 2): "2 of them occur",
        (1, 1): "It occurs",
    }
    assert {each: _how_many_occur(*each) for each in told} == told
