"""The sum of all ranks' pushes of a step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.embedding.ticket import Ticket
from esmm_dist.parameter_server.rank_push import RankPush, sum_of


def push(ids: list[int], gradients: list[float], counts: list[int] | None = None) -> RankPush:
    """A push with one column."""
    ticket = Ticket(
        table="t",
        ids=np.array(ids, dtype=np.int64),
        counts=None if counts is None else np.array(counts, dtype=np.int64),
    )
    values = np.array(gradients, dtype=np.float32).reshape(-1, 1)
    return RankPush(ticket=ticket, gradients=values, impressions=8, rate_factor=0.5)


def test_gradients_and_counts_of_an_id_are_summed_over_the_ranks_that_hold_it():
    merged = sum_of([push([1, 5], [1.0, 2.0], [3, 1]), push([5, 9], [10.0, 20.0], [2, 4])])
    assert merged.ticket.ids.tolist() == [1, 5, 9]
    assert merged.gradients[:, 0].tolist() == [1.0, 12.0, 20.0]
    assert merged.ticket.counts is not None
    assert merged.ticket.counts.tolist() == [3, 3, 4]
    assert (merged.ticket.table, merged.impressions, merged.rate_factor) == ("t", 8, 0.5)


def test_one_rank_s_push_is_the_sum_itself():
    alone = push([1, 5], [1.0, 2.0])
    assert sum_of([alone]) is alone


@pytest.mark.parametrize("ids", [[], [4]])
def test_a_rank_without_ids_adds_nothing(ids):
    merged = sum_of([push([], []), push(ids, [2.0] * len(ids))])
    assert merged.ticket.ids.tolist() == ids
    assert merged.gradients.shape == (len(ids), 1)
    assert merged.ticket.counts is None


def test_the_sum_follows_the_order_of_ranks():
    """In float32, 1e8 + 1 is 1e8: only from left to right the two large ones cancel first."""
    first, second, third = push([1], [1e8]), push([1], [-1e8]), push([1], [1.0])
    assert sum_of([first, second, third]).gradients[0, 0] == 1.0
    assert sum_of([first, third, second]).gradients[0, 0] == 0.0


@given(st.lists(st.dictionaries(st.integers(-9, 9), st.integers(-99, 99)), min_size=1, max_size=5))
def test_whole_numbers_are_summed_as_python_sums_them(ranks):
    pushes = [push(sorted(rank), [float(rank[id_]) for id_ in sorted(rank)]) for rank in ranks]
    merged = sum_of(pushes)
    expected = {id_: sum(rank.get(id_, 0) for rank in ranks) for rank in ranks for id_ in rank}
    assert dict(zip(merged.ticket.ids.tolist(), merged.gradients[:, 0].tolist(), strict=True)) == expected
