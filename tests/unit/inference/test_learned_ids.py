"""Impressions with an id that the model has learned, counted by hand."""

import numpy as np
import pytest

from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.inference.learned_ids import LearnedIds, of_impressions
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.schema.fields import Field, Schema
from tests.support.tiny_dataset import tiny_schema
from tests.unit.inference.two_ranks import on_all_ranks

# Two users: the first, 10 with the history (20 21), saw items 30 and 31; the second, 11 without one, saw item 30.
# The items have the tags (40), () and (40 41)
BATCH = GroupedBatch(
    user_ids=np.array([10, 20, 21, 11]),
    user_lengths=np.array([1, 2, 1, 0]),
    user_weights=None,
    impression_ids=np.array([30, 40, 31, 30, 40, 41]),
    impression_lengths=np.array([1, 1, 1, 0, 1, 2]),
    impression_weights=None,
    impressions_per_group=np.array([2, 1]),
    sample_ids=np.arange(3),
    labels=np.zeros((3, 2), np.int64),
)

TWO_TABLES = tiny_schema(
    fields=(
        Field(name="user", owner="user", table="people"),
        Field(name="history", owner="user", multi_hot=True, table="things"),
        Field(name="item", owner="item", table="things"),
        Field(name="tags", owner="item", multi_hot=True, table="people"),
    )
)


def counts(
    schema: Schema, learned: set[int], *, times: int = 1, world=None, lists: tuple[str, ...] = ()
) -> dict[str, tuple[int, int, int]]:
    """Count the batch ``times`` times, with the rows of ``learned`` moved from their start values."""
    starts = {table: StartValues(embedding_dim=2, scale=0.1, seed=1) for table in schema.tables}
    counter = LearnedIds(schema.fields, starts)
    for _ in range(times):
        lookups = LookupPlan(schema, lists=lists).prepare(BATCH)
        rows = {table: starts[table].rows(lookup.ids).copy() for table, lookup in lookups.items()}
        for table, lookup in lookups.items():
            rows[table][np.isin(lookup.ids, list(learned)), 1] += 1e-3
        for pulled in rows.values():
            pulled.flags.writeable = False  # as those of a server
        counter.add(BATCH, lookups, rows)
    return counter.counts(world or SoloWorld())


@pytest.mark.parametrize("lists", [(), ("history",)], ids=["", "history by element"])
@pytest.mark.parametrize("schema", [tiny_schema(), TWO_TABLES], ids=["one table", "two tables"])
@pytest.mark.parametrize(
    ("learned", "known"),
    [
        (set(), (0, 0, 0, 0)),
        ({10}, (2, 0, 0, 0)),  # both impressions of the first user
        ({11, 21}, (1, 2, 0, 0)),  # one id of a list is enough
        ({30, 41}, (0, 0, 2, 1)),
        ({10, 11, 20, 21, 30, 31, 40, 41}, (3, 2, 3, 2)),
    ],
)
def test_impressions_are_counted_field_by_field(schema, learned, known, lists):
    found = counts(schema, learned, lists=lists)
    with_ids = (3, 2, 3, 2)
    names = ("user", "history", "item", "tags")
    expected = {name: (3, ids, n) for name, ids, n in zip(names, with_ids, known, strict=True)}
    assert found == expected


def test_batches_and_ranks_add_up():
    assert counts(tiny_schema(), {30}, times=4)["item"] == (12, 12, 8)
    ranks = on_all_ranks(lambda world: counts(tiny_schema(), {30}, world=world), size=3)
    assert all(found == {**counts(tiny_schema(), {30}, times=3)} for found in ranks)


def test_without_a_batch_all_counts_are_zero():
    assert counts(tiny_schema(), {30}, times=0)["user"] == (0, 0, 0)


@pytest.mark.parametrize("schema", [tiny_schema(), TWO_TABLES], ids=["one table", "two tables"])
def test_what_is_known_of_a_field_is_told_for_each_impression(schema: Schema):
    starts = {table: StartValues(embedding_dim=2, scale=0.1, seed=1) for table in schema.tables}
    lookups = LookupPlan(schema).prepare(BATCH)
    rows = {table: starts[table].rows(lookup.ids).copy() for table, lookup in lookups.items()}
    for table, lookup in lookups.items():
        rows[table][np.isin(lookup.ids, [10, 31, 41]), 0] += 1e-3
    held = LearnedIds(schema.fields, starts).add(BATCH, lookups, rows)
    known = {each.name: of_impressions(held, each, BATCH).tolist() for each in schema.fields}
    assert known == {
        "user": [True, True, False],
        "history": [False] * 3,
        "item": [False, True, False],
        "tags": [False, False, True],
    }
