"""How many impressions hold each id."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from preprocess.join.count import count_fields
from preprocess.read.feature_rows import FeatureRows
from tests.support.reference.count import count_field

IDS = st.one_of(st.integers(0, 5), st.sampled_from([2**63 - 1, 1 << 32]))
ROWS = st.lists(st.tuples(st.lists(IDS, max_size=4), st.lists(IDS, max_size=4), st.integers(0, 3)), max_size=8)


def rows_of(lists: list[tuple[list[int], list[int], int]]) -> tuple[FeatureRows, np.ndarray]:
    ids = np.array([i for first, second, _ in lists for i in (*first, *second)], np.int64)
    lengths = np.array([[len(first), len(second)] for first, second, _ in lists], np.int32).reshape(-1, 2)
    rows = FeatureRows(lengths=lengths, ids=ids, values=np.ones(len(ids), np.float32))
    return rows, np.array([uses for _, _, uses in lists], np.int64)


def test_an_id_counts_once_for_each_use_of_a_row_that_holds_it():
    rows, uses = rows_of([([7, 7, 8], [7], 2), ([7], [], 1), ([9], [9], 0)])
    counts = [dict(zip(*map(np.ndarray.tolist, field), strict=True)) for field in count_fields(rows, uses)]
    assert counts == [{7: 3, 8: 2}, {7: 2}]


@given(ROWS)
def test_counts_are_those_of_the_plain_form(lists: list[tuple[list[int], list[int], int]]):
    _assert_same(*rows_of(lists))


def test_counts_are_those_of_the_plain_form_for_more_ids_than_the_first_table_holds():
    rng = np.random.default_rng(1)
    lengths = rng.integers(0, 9, (9000, 2)).astype(np.int32)
    lengths[17, 0] = 30_000  # more than fit the table even when it has grown once
    ids = rng.integers(0, 40_000, int(lengths.sum()))
    rows = FeatureRows(lengths=lengths, ids=ids, values=np.ones(len(ids), np.float32))
    _assert_same(rows, rng.integers(0, 3, len(lengths)))


def _assert_same(rows: FeatureRows, uses: np.ndarray) -> None:
    for field, (ids, counts) in enumerate(count_fields(rows, uses)):
        expected_ids, expected_counts = count_field(rows, field, uses)
        order = np.argsort(ids)
        np.testing.assert_array_equal(ids[order], expected_ids)
        np.testing.assert_array_equal(counts[order], expected_counts)
