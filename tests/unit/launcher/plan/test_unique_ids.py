from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.plan.unique_ids import CountedIds, PowerLawIds, count_ids


def test_an_id_that_every_draw_has_is_one_id_and_a_rare_one_is_drawn_in_proportion():
    counted = CountedIds(np.array([1.0]), np.array([3.0]), np.array([0.5]), np.array([2.0]))
    # 3 ids of every user; 2 ids that half of the impressions have: 2 (1 - 0.5^2)
    assert counted.expected(records=1, impressions=2) == pytest.approx(3 + 1.5)


def test_a_power_law_of_exponent_zero_draws_ids_evenly():
    law = PowerLawIds(ids=1000, skew=0.0, ids_per_user=100.0, ids_per_impression=10.0)
    draws = 5 * 100 + 20 * 10
    assert law.expected(records=5, impressions=20) == pytest.approx(1000 * (1 - np.exp(-draws / 1000)))


def test_a_power_law_equals_the_sum_over_all_of_its_ids():
    ranks = np.arange(1, 100_001, dtype=np.float64)
    frequencies = ranks**-0.9 / np.sum(ranks**-0.9)
    law = PowerLawIds(ids=100_000, skew=0.9, ids_per_user=1.0, ids_per_impression=0.0)
    for draws in (100, 10_000, 1_000_000):
        assert law.expected(draws, 0) == pytest.approx(np.sum(-np.expm1(-draws * frequencies)), rel=2e-3)


@given(ids=st.integers(1, 10**9), skew=st.floats(0, 1.5), draws=st.floats(1, 1e7))
def test_there_are_never_more_different_ids_than_draws_or_ids(ids: int, skew: float, draws: float):
    found = PowerLawIds(ids=ids, skew=skew, ids_per_user=1.0, ids_per_impression=0.0).expected(draws, 0)
    assert 0 < found <= min(ids, draws) * (1 + 1e-9)


def test_counts_of_a_vocabulary_become_chances(tmp_path: Path):
    field = pa.array(["user", "item", "user"]).dictionary_encode()
    table = pa.table({"feature_id": [1, 2, 3], "field": field, "count": pa.array([10, 5, 2])})
    pq.write_table(table, tmp_path / "vocabulary.parquet")
    counted, ids_per_user, own_ids = count_ids(tmp_path / "vocabulary.parquet", frozenset({"user"}), 10)
    assert ids_per_user == pytest.approx(1.2)  # one id in each impression, one in 2 of 10
    assert own_ids == pytest.approx(0.5)
    assert counted.expected(records=1, impressions=0) == pytest.approx(1.2)
    assert counted.expected(records=0, impressions=1e6) == pytest.approx(1)
