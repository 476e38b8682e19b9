"""Contexts and the contexts of each user, against dictionaries; of many, all of some users."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from esmm_dist.arrays import I64
from esmm_dist.report.data_statistics.context_counter import ContextCounter


def records(users: int, *, seed: int) -> tuple[I64, I64, I64]:
    """Return hash, user and impressions of records: contexts of 1 to 9 a user, each in 1 to 5 records."""
    draw = np.random.default_rng(seed)
    contexts = np.repeat(np.arange(users), draw.integers(1, 10, users))
    rows = np.repeat(np.arange(len(contexts)), draw.integers(1, 6, len(contexts)))
    draw.shuffle(rows)
    hashes = draw.integers(0, 2**63, len(contexts))
    return hashes[rows], contexts[rows], draw.integers(1, 9, len(rows))


def count(most: int, *splits: tuple[I64, I64, I64]) -> ContextCounter:
    counter = ContextCounter(len(splits), most)
    for column, (hashes, users, impressions) in enumerate(splits):
        for begin in range(0, len(hashes), 700):
            end = begin + 700
            counter.count(column, hashes[begin:end], users[begin:end], impressions[begin:end])
    return counter


def test_all_contexts_are_counted_while_they_fit():
    splits = records(3000, seed=1), records(500, seed=2)
    counter = count(100_000, *splits)
    assert not counter.is_sample
    for column, (hashes, users, impressions) in enumerate(splits):
        of_context: Counter[int] = Counter()
        of_user: defaultdict[int, set[int]] = defaultdict(set)
        for hash_, user, number in zip(hashes.tolist(), users.tolist(), impressions.tolist(), strict=True):
            of_context[hash_] += number
            of_user[user].add(hash_)
        assert counter.contexts(column) == len(of_context)
        found = counter.impressions_a_context(column)
        assert found.total == len(of_context)
        assert found.mean == pytest.approx(impressions.sum() / len(of_context))
        assert dict(zip(found.counts, found.things, strict=True)) == Counter(of_context.values())
        of_users = counter.contexts_a_user(column)
        sizes = Counter(len(contexts) for contexts in of_user.values())
        assert dict(zip(of_users.counts, of_users.things, strict=True)) == sizes


def test_of_more_contexts_than_fit_numbers_are_estimates_of_all():
    """A quarter of 12,000 users is 3,000, with 15,000 contexts: a standard error of 2%."""
    everything = records(12_000, seed=3)
    exact, counter = count(10**6, everything), count(20_000, everything)
    assert counter.is_sample
    assert counter.contexts(0) == pytest.approx(exact.contexts(0), rel=0.08)
    for name in ("impressions_a_context", "contexts_a_user"):
        found, expected = getattr(counter, name)(0), getattr(exact, name)(0)
        assert found.mean == pytest.approx(expected.mean, rel=0.05)
        assert found.total == pytest.approx(expected.total, rel=0.08)
        assert abs(found.p99 - expected.p99) <= 2


def test_contexts_without_a_user_are_contexts_of_nobody():
    counter = count(1000, (np.array([5, 6, 5]), np.array([-1, 9, -1]), np.array([1, 2, 3])))
    assert counter.contexts(0) == 2
    assert counter.contexts_a_user(0).total == 1


def test_a_user_with_more_contexts_than_fit_does_not_end_the_counting():
    hashes = np.arange(5000)
    counter = count(1000, (hashes, np.zeros(5000, np.int64), np.ones(5000, np.int64)))
    assert counter.is_sample
