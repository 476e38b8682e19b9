"""Counting ids and contexts, against dictionaries."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.arrays import I64
from esmm_dist.hashing import mix64
from esmm_dist.kernels.id_counts import (
    add_lengths,
    clear_marks,
    copy_chosen,
    copy_contexts,
    count_contexts,
    count_lists,
    counted_ids,
    hash_lists,
    move_ids,
)

SLOTS = 1 << 9
IDS = st.one_of(st.integers(0, 20), st.integers(0, 2**63 - 1))
ROWS = st.lists(st.tuples(st.lists(IDS, max_size=6), st.integers(0, 3)), max_size=20)
NONE_PINNED = np.zeros((1, 3), np.int64)

Rows = list[tuple[list[int], int]]


def as_lists(rows: Rows) -> tuple[tuple[I64, I64, I64], I64]:
    lengths = np.array([len(ids) for ids, _ in rows], np.int64)
    ids = np.array([id_ for ids, _ in rows for id_ in ids], np.int64)
    return (ids, np.cumsum(lengths) - lengths, lengths), np.array([weight for _, weight in rows], np.int64)


def count(rows: Rows, *, column: int = 1, level: int = 0, slots: int = SLOTS, pinned: I64 | None = None) -> I64:
    lists, impressions = as_lists(rows)
    table, state = np.zeros((slots, 3), np.int64), np.zeros(3, np.int64)
    tables = (table, NONE_PINNED if pinned is None else pinned)
    count_lists(lists, impressions, tables, (column, level, int(pinned is not None)), state)
    assert state[0] == len(rows)
    return table


def expected(rows: Rows) -> Counter[int]:
    """Return how many impressions hold each id: of one that a list has twice, once."""
    found: Counter[int] = Counter()
    for ids, weight in rows:
        found.update(dict.fromkeys(ids, weight) if weight else {})
    return found


def counts_in(table: I64, column: int = 0) -> dict[int, int]:
    ids, counts = counted_ids(table)
    return dict(zip(ids.tolist(), counts[:, column].tolist(), strict=True))


def chosen(id_: int, level: int) -> bool:
    """Return whether the hash begins with so many zero bits."""
    return int(mix64(np.array([id_]))[0]) >> (64 - level) == 0 if level else True


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_an_id_counts_once_for_each_impression_that_holds_it(rows: Rows):
    table = count(rows)
    assert counts_in(table) == expected(rows)
    assert counts_in(table, 1) == dict.fromkeys(expected(rows), 0)


@given(ROWS, st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_a_sample_has_the_ids_whose_hash_begins_with_zeros(rows: Rows, level: int):
    of_sample = {id_: count for id_, count in expected(rows).items() if chosen(id_, level)}
    assert counts_in(count(rows, level=level)) == of_sample
    thinned = np.zeros((SLOTS, 3), np.int64)
    assert copy_chosen(count(rows), thinned, level) == len(of_sample)
    assert counts_in(thinned) == of_sample


@given(ROWS, st.sets(IDS, max_size=5))
@settings(max_examples=60, deadline=None)
def test_ids_that_were_moved_are_counted_whatever_their_hash(rows: Rows, ids: set[int]):
    half = len(rows) // 2
    table, pinned = count(rows[:half]), np.zeros((16, 3), np.int64)
    before = expected(rows[:half])
    assert move_ids(table, pinned, np.array(sorted(ids), np.int64)) == sum(id_ in before for id_ in ids)
    left = np.zeros((SLOTS, 3), np.int64)
    copy_chosen(table, left, 1)
    assert not set(counts_in(left)) & ids
    later = count(rows[half:], level=60, pinned=pinned)
    assert not set(counts_in(later)) & ids
    everything = expected(rows)
    assert counts_in(pinned) == {id_: everything[id_] for id_ in ids if everything[id_]}


def test_counting_stops_before_a_list_that_may_not_fit_and_goes_on_in_a_larger_table():
    rows: Rows = [([place * 10 + each for each in range(5)], 1) for place in range(30)]
    lists, impressions = as_lists(rows)
    table, state = np.zeros((64, 3), np.int64), np.zeros(3, np.int64)
    count_lists(lists, impressions, (table, NONE_PINNED), (1, 0, 0), state)
    assert state.tolist() == [8, 8, 40]  # 5/8 of 64 slots
    larger = np.zeros((512, 3), np.int64)
    assert copy_chosen(table, larger, 0) == 40
    count_lists(lists, impressions, (larger, NONE_PINNED), (1, 0, 0), state)
    assert counts_in(larger) == expected(rows)


def test_a_mark_that_comes_again_counts_once_marks_were_cleared():
    table = count([([7, 7], 2)])
    lists, impressions = as_lists([([7], 3)])
    count_lists(lists, impressions, (table, NONE_PINNED), (1, 0, 0), np.array([0, 0, 1]))
    assert counts_in(table) == {7: 2}  # taken for the same list
    clear_marks(table)
    count_lists(lists, impressions, (table, NONE_PINNED), (1, 0, 0), np.array([0, 0, 1]))
    assert counts_in(table) == {7: 5}


@given(ROWS)
@settings(max_examples=30, deadline=None)
def test_lengths_are_added_up_by_impressions(rows: Rows):
    (_, _, lengths), impressions = as_lists(rows)
    things = np.zeros(7, np.int64)
    add_lengths(lengths, impressions, things)
    assert things.tolist() == [sum(weight for ids, weight in rows if len(ids) == length) for length in range(7)]


@given(st.lists(st.tuples(st.lists(IDS, max_size=3), st.lists(IDS, max_size=3)), min_size=2, max_size=20))
@settings(max_examples=60, deadline=None)
def test_rows_have_one_hash_if_they_have_the_same_ids_in_each_field(rows: list[tuple[list[int], list[int]]]):
    ids = np.array([id_ for row in rows for field in row for id_ in field], np.int64)
    lengths = np.array([len(field) for row in rows for field in row], np.int64)
    hashes = np.empty(len(rows), np.int64)
    hash_lists((ids, lengths), 2, hashes)
    assert (hashes >= 0).all()
    by_row: dict[str, int] = {}
    for row, hash_ in zip(rows, hashes.tolist(), strict=True):
        assert by_row.setdefault(repr(row), hash_) == hash_
    assert len(set(by_row.values())) == len(by_row)


CONTEXTS = st.lists(st.tuples(st.integers(0, 30), st.integers(-1, 6), st.integers(0, 3)), max_size=40)


@given(CONTEXTS, st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_contexts_of_chosen_users_are_all_there(rows: list[tuple[int, int, int]], level: int):
    user_of: dict[int, int] = {}
    rows = [(hash_, user_of.setdefault(hash_, user), weight) for hash_, user, weight in rows]
    hashes, users, impressions = np.array(rows, np.int64).reshape(-1, 3).T.copy()
    tables = []
    for first in (level, 0):  # sampled from the start, and thinned out afterwards
        table, state = np.zeros((128, 3), np.int64), np.zeros(2, np.int64)
        count_contexts((hashes, users, impressions), table, (0, first), state)
        tables.append(table)
    thinned = np.zeros((128, 3), np.int64)
    copy_contexts(tables[1], thinned, level)
    sums: Counter[tuple[int, int]] = Counter()
    for hash_, user, weight in rows:
        if weight and chosen(user if user >= 0 else hash_, level):
            sums[(hash_, user)] += weight
    for table in (tables[0], thinned):
        there = table[table[:, 0] != 0]
        assert {(hash_ - 1, user): total for hash_, user, total in there.tolist()} == sums
