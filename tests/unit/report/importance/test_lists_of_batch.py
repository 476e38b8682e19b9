"""Lists of ids move whole, and nothing else moves."""

from typing import Any

import numpy as np
import pytest

from esmm_dist.input.batch import GroupedBatch
from esmm_dist.report.importance.lists_of_batch import chosen_groups, gathered_lists, joined_batches, with_lists_of
from esmm_dist.schema.fields import Field, Schema

SCHEMA = Schema(
    name="test",
    labels=("click", "conversion"),
    fields=(
        Field(name="user", owner="user"),
        Field(name="item", owner="item"),
        Field(name="history", owner="user", multi_hot=True, weighted=True),
        Field(name="tags", owner="item", multi_hot=True, weighted=True),
        Field(name="place", owner="context"),
    ),
)


def random_batch(seed: int, groups: int = 7) -> GroupedBatch:
    """Return groups of 0 to 4 impressions whose lists have 0 to 3 ids, each with a weight of its own."""
    random = np.random.default_rng(seed)
    per_group = random.integers(0, 5, groups)
    impressions = int(per_group.sum())
    user_lengths = random.integers(0, 4, groups * len(SCHEMA.user_fields))
    lengths = random.integers(0, 4, impressions * len(SCHEMA.impression_fields))
    return GroupedBatch(
        user_ids=random.integers(0, 99, user_lengths.sum()),
        user_lengths=user_lengths,
        user_weights=random.random(user_lengths.sum()).astype(np.float32),
        impression_ids=random.integers(0, 99, lengths.sum()),
        impression_lengths=lengths,
        impression_weights=random.random(lengths.sum()).astype(np.float32),
        impressions_per_group=per_group,
        sample_ids=random.integers(0, 10**6, impressions),
        labels=random.integers(0, 2, (impressions, 2)),
        sample_weights=random.random(impressions).astype(np.float32),
    )


def lists(batch: GroupedBatch) -> dict[str, list[Any]]:
    """Return the (id, weight) pairs of each group or impression by field, cut out one by one."""
    found: dict[str, list[Any]] = {}
    for fields, lengths, ids, weights in (
        (SCHEMA.user_fields, batch.user_lengths, batch.user_ids, batch.user_weights),
        (SCHEMA.impression_fields, batch.impression_lengths, batch.impression_ids, batch.impression_weights),
    ):
        assert weights is not None
        pairs = list(zip(ids.tolist(), weights.tolist(), strict=True))
        begin = 0
        for place, length in enumerate(lengths.tolist()):
            found.setdefault(fields[place % len(fields)].name, []).append(pairs[begin : begin + length])
            begin += length
        assert begin == len(pairs)
    return found


def test_lists_are_gathered_in_any_order_and_any_number() -> None:
    lengths, (values, none) = gathered_lists(np.array([2, 0, 1]), [np.array([7, 8, 9]), None], np.array([2, 0, 1, 0]))
    assert (lengths.tolist(), values.tolist(), none) == ([1, 2, 0, 2], [9, 7, 8, 7, 8], None)


def test_no_list_gives_no_list() -> None:
    lengths, (values,) = gathered_lists(np.empty(0, np.int64), [np.empty(0)], np.empty(0, np.int64))
    assert (lengths.tolist(), values.tolist()) == ([], [])


@pytest.mark.parametrize("field", SCHEMA.fields, ids=lambda field: field.name)
@pytest.mark.parametrize("seed", range(4))
def test_permuted_field_moves_whole_lists_and_all_others_stay(field: Field, seed: int) -> None:
    batch = random_batch(seed)
    rows = batch.num_groups if field.owner == "user" else batch.num_impressions
    order = np.random.default_rng(seed + 50).permutation(rows)
    found = with_lists_of(batch, SCHEMA, field, order)
    before, after = lists(batch), lists(found)
    assert after[field.name] == [before[field.name][place] for place in order]
    assert after[field.name] != before[field.name]
    assert {n: e for n, e in after.items() if n != field.name} == {n: e for n, e in before.items() if n != field.name}
    for name in ("impressions_per_group", "sample_ids", "labels", "sample_weights"):
        np.testing.assert_array_equal(getattr(found, name), getattr(batch, name))


@pytest.mark.parametrize("seed", range(4))
def test_chosen_groups_keep_their_impressions(seed: int) -> None:
    batch = random_batch(seed)
    chosen = np.array([5, 0, 3])
    found = chosen_groups(batch, SCHEMA, chosen)
    begins = np.cumsum(batch.impressions_per_group) - batch.impressions_per_group
    impressions = [i for g in chosen for i in range(begins[g], begins[g] + batch.impressions_per_group[g])]
    before, after = lists(batch), lists(found)
    for field in SCHEMA.fields:
        places = chosen if field.owner == "user" else impressions
        assert after.get(field.name, []) == [before[field.name][place] for place in places]
    assert found.sample_ids.tolist() == batch.sample_ids[impressions].tolist()
    assert found.labels.tolist() == batch.labels[impressions].tolist()
    assert found.sample_weights is not None
    assert batch.sample_weights is not None
    assert found.sample_weights.tolist() == batch.sample_weights[impressions].tolist()


def test_groups_cut_apart_and_joined_are_the_batch() -> None:
    batch = random_batch(9)
    parts = [chosen_groups(batch, SCHEMA, np.arange(first, min(first + 2, 7))) for first in range(0, 7, 2)]
    joined = joined_batches(parts)
    assert lists(joined) == lists(batch)
    assert joined.sample_names is None
    for name in ("impressions_per_group", "sample_ids", "labels", "sample_weights"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(batch, name))
