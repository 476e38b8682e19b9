"""A sample is of whole user contexts, of no more impressions than asked, and the same each time."""

from collections.abc import Generator
from typing import Any, cast

import numpy as np
import pytest

from esmm_dist.errors import InputDataError
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.progress import NoProgress
from esmm_dist.report.importance.sample import SplitSample, context_hashes, read_sample
from esmm_dist.schema.fields import Field, Schema

SCHEMA = Schema(
    name="test",
    labels=("click", "conversion"),
    fields=(
        Field(name="user", owner="user"),
        Field(name="history", owner="user", multi_hot=True),
        Field(name="item", owner="item"),
    ),
)


class InMemory:
    """Reads batches that are there already."""

    def __init__(self, batches: list[GroupedBatch]) -> None:
        """Take them."""
        self._batches = batches

    def epoch(self, _: int, *, seed: int | None) -> Generator[GroupedBatch, None, None]:
        """Yield them."""
        yield from self._batches


def batch_of(contexts: list[tuple[list[int], list[int], int]], first: int = 0, schema: Schema = SCHEMA) -> GroupedBatch:
    """Return a batch of contexts: ids of user and history, number of impressions."""
    impressions = sum(count for *_, count in contexts)
    user_fields = [(user, history)[: len(schema.user_fields)] for user, history, _ in contexts]
    return GroupedBatch(
        user_ids=np.array([i for fields in user_fields for field in fields for i in field], np.int64),
        user_lengths=np.array([len(field) for fields in user_fields for field in fields], np.int64),
        user_weights=None,
        impression_ids=np.arange(impressions),
        impression_lengths=np.ones(impressions, np.int64),
        impression_weights=None,
        impressions_per_group=np.array([count for *_, count in contexts], np.int64),
        sample_ids=first + np.arange(impressions),
        labels=np.zeros((impressions, 2), np.int64),
    )


def read(batches: list[GroupedBatch], most: int, schema: Schema = SCHEMA) -> SplitSample:
    """Read a sample of batches."""
    impressions = sum(batch.num_impressions for batch in batches)
    reader = cast(BatchReader, cast(Any, InMemory(batches)))
    return read_sample(reader, schema, impressions, most, NoProgress())


CONTEXTS = [([user], [user, user + 1], 1 + user % 4) for user in range(400)]
BATCHES = [batch_of(CONTEXTS[first : first + 100], first * 10) for first in range(0, 400, 100)]
WHOLE = sum(count for *_, count in CONTEXTS)


def test_small_split_is_read_whole_in_its_order() -> None:
    found = read(BATCHES, WHOLE)
    assert found.batch.sample_ids.tolist() == [i for batch in BATCHES for i in batch.sample_ids.tolist()]
    assert (found.contexts, found.of_impressions) == (400, WHOLE)


@pytest.mark.parametrize("most", [10, 300, WHOLE - 1])
def test_sample_has_whole_contexts_and_no_more_impressions_than_asked(most: int) -> None:
    found = read(BATCHES, most)
    assert 0 < found.batch.num_impressions <= most
    users = found.batch.user_ids[
        np.cumsum(found.batch.user_lengths)[::2] - 1
    ]  # one of each context, ahead of histories
    assert found.batch.impressions_per_group.tolist() == [1 + int(user) % 4 for user in users]
    assert found.contexts == len(users)
    if most > 100:
        assert found.batch.num_impressions > 0.7 * most
    np.testing.assert_array_equal(read(BATCHES, most).batch.sample_ids, found.batch.sample_ids)


def test_groups_of_one_context_come_together() -> None:
    split = [*CONTEXTS[:50], *CONTEXTS[:50]]
    found = read([batch_of(split)], 60)
    users = found.batch.user_ids[np.cumsum(found.batch.user_lengths)[::2] - 1].tolist()
    assert sorted(users) == sorted([*set(users), *set(users)])
    assert found.contexts == len(set(users))


def test_group_without_impressions_is_left_out() -> None:
    assert read([batch_of([([1], [], 0), ([2], [], 3)])], 10).batch.num_groups == 1


def test_one_context_is_kept_however_many_impressions_it_has() -> None:
    found = read([batch_of([([1], [2], 500), ([2], [2], 500)]), batch_of([([3], [2], 500)])], 2)
    assert (found.contexts, found.batch.num_impressions) == (1, 500)


def test_split_without_impressions_is_an_error_that_says_so() -> None:
    with pytest.raises(InputDataError, match=r"The split has no impression. Name another one"):
        read([batch_of([])], 10)


def test_hash_tells_fields_and_their_order_apart() -> None:
    found = context_hashes(batch_of([([1], [2], 1), ([2], [1], 1), ([1], [2], 4), ([1, 2], [], 1)]), SCHEMA)
    assert found[0] == found[2]
    assert len(set(found.tolist())) == 3


def test_without_user_fields_each_group_is_a_context() -> None:
    schema = Schema(name="test", labels=("click", "conversion"), fields=(Field(name="item", owner="item"),))
    assert 5 < read([batch_of([([], [], 2)] * 30, schema=schema)], 20, schema).contexts <= 10


@pytest.mark.parametrize("impressions", [1, 3, 7, 10**6])
def test_parts_are_the_sample_cut_between_groups(impressions: int) -> None:
    found = read(BATCHES[:1], WHOLE)
    parts = list(found.parts(SCHEMA, impressions))
    assert [i for part in parts for i in part.sample_ids.tolist()] == found.batch.sample_ids.tolist()
    assert all(part.num_impressions <= max(impressions, 4) for part in parts)
    assert [n for part in parts for n in part.impressions_per_group] == found.batch.impressions_per_group.tolist()
