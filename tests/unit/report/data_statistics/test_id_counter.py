"""Ids that fit into memory are counted exactly, and others estimated."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.arrays import I64
from esmm_dist.report.data_statistics import id_counter
from esmm_dist.report.data_statistics.id_counter import IdCounter, IdCounts


def zipf_ids(number: int, *, seed: int, shift: int = 0) -> I64:
    """Return ids of which few are frequent and most occur once or twice, as items and users do."""
    draws = np.random.default_rng(seed).zipf(1.3, number)
    return (draws.astype(np.int64) + shift) % (1 << 40)


def count(splits: list[I64], most_ids: int, *, batch: int = 5000, pinned: tuple[int, ...] = ()) -> IdCounts:
    """Count one id an impression."""
    counter = IdCounter(len(splits), most_ids, pinned=pinned)
    for column, ids in enumerate(splits):
        for begin in range(0, len(ids), batch):
            part = ids[begin : begin + batch]
            ones = np.ones(len(part), np.int64)
            counter.count(column, (part, np.arange(len(part)), ones), ones)
    return counter.counted()


def counts_of(found: IdCounts) -> dict[int, list[int]]:
    return dict(zip(found.ids.tolist(), found.counts.tolist(), strict=True))


@given(st.lists(st.lists(st.integers(0, 2**63 - 1), max_size=50), min_size=1, max_size=3))
@settings(max_examples=30, deadline=None)
def test_below_the_limit_all_ids_are_there_with_their_counts(splits: list[list[int]]):
    found = count([np.array(ids, np.int64) for ids in splits], 1000, batch=7)
    counters = [Counter(ids) for ids in splits]
    assert counts_of(found) == {id_: [each[id_] for each in counters] for id_ in {i for ids in splits for i in ids}}
    assert (found.weights == 1).all()
    assert found.share == 1


@pytest.mark.parametrize("most_ids", [1000, 4000])
def test_of_more_a_sample_is_complete_in_all_splits(most_ids: int):
    """An id that is dropped at a later split is dropped in all; an id that stays has all its impressions."""
    splits = [zipf_ids(30_000, seed=1), zipf_ids(30_000, seed=2), zipf_ids(30_000, seed=3, shift=1 << 20)]
    found = count(splits, most_ids)
    assert found.share < 1
    assert len(found.ids) <= most_ids + id_counter._PINNED_IDS
    counters = [Counter(ids.tolist()) for ids in splits]
    for id_, counts in counts_of(found).items():
        assert counts == [each[id_] for each in counters]
    assert set(found.weights.tolist()) == {1.0, 1 / found.share}


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_estimates_are_within_five_standard_errors(seed: int):
    """Each of the ids that are not pinned is in the sample with probability ``share``, whatever its counts."""
    train, test = zipf_ids(40_000, seed=seed), zipf_ids(10_000, seed=seed + 1)
    found = count([train, test], 2000)
    share, pinned = found.share, set(found.ids[found.weights == 1].tolist())
    everything = {id_: (0, 0) for id_ in [*train.tolist(), *test.tolist()]}
    in_train, in_test = Counter(train.tolist()), Counter(test.tolist())
    everything = {id_: (in_train[id_], in_test[id_]) for id_ in everything}
    sums = {
        "distinct in train": lambda a, b: a > 0,
        "unseen in train": lambda a, b: a == 0,
        "occurrences of unseen": lambda a, b: b * (a == 0),
        "ids of 2 and more": lambda a, b: a >= 2,
        "occurrences of 2 and more": lambda a, b: a * (a >= 2),
    }
    for name, of in sums.items():
        exact = sum(of(a, b) for a, b in everything.values())
        estimate = sum(weight * of(a, b) for weight, (a, b) in zip(found.weights, found.counts.tolist(), strict=True))
        squares = sum(of(a, b) ** 2 for id_, (a, b) in everything.items() if id_ not in pinned)
        error = float(np.sqrt(squares * (1 - share) / share))
        assert abs(estimate - exact) <= 5 * error + 1e-6, (name, estimate, exact, error)


def test_estimates_have_no_bias():
    """The mean of 60 samples, by as many hashes of the same ids: an id's name is shifted, and with it its hash."""
    ids = zipf_ids(8000, seed=5)
    exact = len(set(ids.tolist()))
    estimates = []
    for shift in range(60):
        found = count([ids + (shift << 41)], 1000)
        assert found.share < 1
        estimates.append(found.weights.sum())
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - exact) < 4 * error
    assert error < 0.02 * exact  # else nothing is tested


def test_the_most_frequent_ids_and_those_that_are_named_are_counted_whatever_their_hash():
    ids = zipf_ids(40_000, seed=3)
    rare = int(ids.max())
    found = count([ids], 1000, pinned=(rare,))
    counts = counts_of(found)
    assert rare in counts
    for id_, number in Counter(ids.tolist()).most_common(50):
        assert counts[id_] == [number]


def test_a_list_longer_than_the_limit_is_counted():
    counter = IdCounter(1, 1000)
    ids = np.arange(20_000)
    counter.count(0, (ids, np.array([0]), np.array([20_000])), np.array([3]))
    found = counter.counted()
    assert found.weights.sum() == pytest.approx(20_000, rel=0.2)
    assert (found.counts == 3).all()


def test_marks_begin_anew_when_all_were_used(monkeypatch: pytest.MonkeyPatch):
    """One-id lists, ten marks: the eleventh list of the same id has the mark of the first one."""
    monkeypatch.setattr(id_counter, "MOST_MARKS", 10)
    ids = np.full(95, 7)
    assert counts_of(count([ids], 1000, batch=5)) == {7: [95]}
