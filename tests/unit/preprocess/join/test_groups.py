"""Which impressions stand together."""

import itertools
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.join.groups import RecordGroups, group_impressions, num_ranges, order_hash, range_of


def test_ranges_of_a_context_split_its_hashes_evenly():
    assert num_ranges(np.array([1, 32_767, 32_768, 100_000])).tolist() == [1, 1, 2, 4]
    hashes = np.array([0, 2**62, 2**63, 2**64 - 1], np.uint64)
    assert range_of(hashes, np.array([4, 4, 4, 4])).tolist() == [0, 1, 2, 3]
    assert range_of(hashes, np.array([1, 1, 1, 1])).tolist() == [0, 0, 0, 0]


def grouped(keys: list[int], group_size: int, seed: int = 1, known: dict[int, int] | None = None) -> RecordGroups:
    ids = np.arange(100, 100 + len(keys))
    return group_impressions(
        np.array(keys, np.uint64), ids, split="train", group_size=group_size, seed=seed, known_ranges=known or {}
    )


@given(keys=st.lists(st.integers(0, 4), max_size=40), group_size=st.integers(1, 5), seed=st.integers(0, 3))
def test_every_impression_is_in_one_group_of_its_own_context(keys: list[int], group_size: int, seed: int):
    groups = grouped(keys, group_size, seed)
    assert sorted(groups.order.tolist()) == list(range(len(keys)))
    members = [groups.order[a:b].tolist() for a, b in itertools.pairwise(groups.splits)]
    assert all(1 <= len(each) <= group_size for each in members)
    assert all(len({keys[i] for i in each}) == 1 for each in members)
    # Only the last group of a context may have room: so there are as few as can be.
    assert len(members) == sum(-(-keys.count(key) // group_size) for key in set(keys))
    assert groups.record_keys.tolist() == sorted(groups.record_keys.tolist())


@given(keys=st.lists(st.integers(0, 4), min_size=1, max_size=30), seed=st.integers(0, 3), random=st.randoms())
def test_the_order_of_the_log_does_not_matter(keys: list[int], seed: int, random: Random):
    ids = list(range(len(keys)))
    both = []
    for order in (ids, random.sample(ids, len(ids))):
        groups = group_impressions(
            np.array([keys[i] for i in order], np.uint64),
            np.array(order),
            split="train",
            group_size=3,
            seed=seed,
            known_ranges={},
        )
        both.append(([order[i] for i in groups.order], groups.splits.tolist(), groups.record_keys.tolist()))
    assert both[0] == both[1]


def test_another_seed_and_the_other_split_are_other_shuffles():
    keys = list(range(50))
    train = grouped(keys, 1)
    assert train.order.tolist() != grouped(keys, 1, seed=2).order.tolist()
    test = group_impressions(
        np.array(keys, np.uint64), np.arange(100, 150), split="test", group_size=1, seed=1, known_ranges={}
    )
    assert train.order.tolist() != test.order.tolist()


def test_a_part_of_a_context_makes_the_groups_that_the_whole_makes(monkeypatch: pytest.MonkeyPatch):
    """60 impressions are cut into 4 ranges of their hash; one range alone has the same groups as within the whole."""
    monkeypatch.setattr("preprocess.join.groups.RANGE_IMPRESSIONS", 20)
    ids, keys = np.arange(100, 160), np.full(60, 7, np.uint64)
    whole = group_impressions(keys, ids, split="train", group_size=8, seed=1, known_ranges={})
    groups = {tuple(ids[whole.order[a:b]].tolist()) for a, b in itertools.pairwise(whole.splits)}
    ranges = range_of(order_hash(ids, 1), np.full(60, 4))
    assert sorted(set(ranges.tolist())) == [0, 1, 2, 3]
    for number in range(4):
        here = np.flatnonzero(ranges == number)
        part = group_impressions(keys[here], ids[here], split="train", group_size=8, seed=1, known_ranges={7: 4})
        found = {tuple(ids[here][part.order[a:b]].tolist()) for a, b in itertools.pairwise(part.splits)}
        assert found <= groups
