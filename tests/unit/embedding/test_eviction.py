"""Which rows are removed: the policies, one table, and a table in parts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.eviction import (
    EvictionPlan,
    EvictionRule,
    MinimumCount,
    RowBudget,
    TimeToLive,
    one_by_one,
    tie_hashes,
)
from esmm_dist.embedding.placement import server_of
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.embedding.table import EmbeddingTable
from esmm_dist.storage.folder import Folder

CONFIG = EmbeddingConfig(embedding_dim=2, embedding_learning_rate=0.5, start_scale=0.1)


def table_after(pushes: list[list[int]], config: EmbeddingConfig = CONFIG) -> EmbeddingTable:
    """Return a table whose step s pushed the ids ``pushes[s - 1]``."""
    table = EmbeddingTable("t", config, seed=6)
    for step, ids in enumerate(pushes, start=1):
        push(table, ids, step)
    return table


def push(table: EmbeddingTable, ids: list[int], step: int) -> None:
    unique = np.array(sorted(ids), dtype=np.int64)
    gradients = np.random.default_rng(step).normal(size=(len(unique), 2)).astype(np.float32)
    table.push(table.prepare(unique), gradients, impressions=1, step=step)


def ids_of(*tables: EmbeddingTable) -> list[int]:
    return sorted(id_ for table in tables for id_ in table.export(0, 4096).ids.tolist())


@pytest.mark.parametrize(
    ("ttl_steps", "left"),
    [
        (10, [1, 2, 3]),
        (2, [2, 3]),  # steps 2 and 3 have not changed row 1
        (1, [3]),
    ],
)
def test_time_to_live_removes_what_no_step_of_late_has_changed(ttl_steps, left):
    table = table_after([[1], [2], [3]])
    EvictionPlan(time_to_live=TimeToLive(ttl_steps=ttl_steps)).apply([table], step=3)
    assert ids_of(table) == left


def test_minimum_count_removes_rare_rows_but_gives_new_ones_a_period():
    table = table_after([[1, 2], [2], [3], [4]])
    EvictionPlan(minimum_count=MinimumCount(min_count=2, grace_steps=2)).apply([table], step=4)
    assert ids_of(table) == [2, 3, 4]  # 1 was changed once, at step 1; 3 and 4 once, but within the last 2 steps


@pytest.mark.parametrize(
    ("rows", "max_rows", "expected"),
    [
        ([5, 5, 5], 15, (0, 0)),
        ([5, 5, 5], 14, (2, 1)),
        ([5, 5, 5], 10, (2, 5)),  # exactly the first step's rows
        ([5, 5, 5], 9, (4, 1)),
        ([5, 5, 5], 0, (7, 5)),
    ],
)
def test_a_budget_cuts_within_the_step_at_which_the_excess_ends(rows, max_rows, expected):
    assert RowBudget(max_rows=max_rows).cut(np.array([2, 4, 7]), np.array(rows)) == expected


def test_a_budget_removes_the_least_recently_changed_rows_and_ties_by_hash():
    table = table_after([[1, 2, 3, 4], [5, 6], [1]])  # 1 is as new as step 3
    removed = EvictionPlan(row_budget=RowBudget(max_rows=4)).apply([table], step=3)
    assert removed == 2
    oldest = np.array([2, 3, 4])
    first_to_go = oldest[np.argsort(tie_hashes(oldest))][:2]
    assert ids_of(table) == sorted({1, 2, 3, 4, 5, 6} - set(first_to_go.tolist()))


def test_pull_of_evicted_id_returns_initial_row():
    table = table_after([[1, 2], [2, 3]])
    before = table.pull(table.prepare(np.array([2, 3])))
    table.remove(EvictionRule(older_than_step=2))
    start = StartValues(embedding_dim=2, scale=0.1, seed=6).rows(np.array([1]))
    np.testing.assert_array_equal(table.pull(table.prepare(np.array([1]))), start)
    np.testing.assert_array_equal(table.pull(table.prepare(np.array([2, 3]))), before)


def test_an_evicted_id_starts_anew_and_its_neighbours_go_on():
    table = table_after([[1], [2, 3]])
    table.remove(EvictionRule(older_than_step=2))
    push(table, [1, 2, 3], 3)
    rows = table.export(0, 4096)
    assert (rows.ids.tolist(), rows.count.tolist()) == ([1, 2, 3], [1, 2, 2])
    never_evicted = table_after([[], [2, 3], [1, 2, 3]])
    np.testing.assert_array_equal(rows.rows, never_evicted.export(0, 4096).rows)


def test_removing_nothing_and_removing_all():
    table = table_after([[1, 2, 3]])
    assert table.remove(EvictionRule(older_than_step=1)) == 0
    assert table.remove(EvictionRule(older_than_step=2)) == 3
    assert len(table) == 0
    push(table, [2, 9], 2)
    assert ids_of(table) == [2, 9]


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_table_with_evictions_equals_a_dictionary_of_rows(data):
    """Model: rows by id; an eviction deletes keys; every other row stays as it is, to the bit."""
    table = EmbeddingTable("t", CONFIG, seed=6)
    for step in range(1, data.draw(st.integers(2, 8))):
        push(table, data.draw(st.lists(st.integers(0, 30), unique=True, max_size=20)), step)
        exported = table.export(0, 4096)
        model = {
            int(id_): (row.tobytes(), slots.tobytes(), int(last), int(count))
            for id_, row, slots, last, count in zip(
                exported.ids, exported.rows, exported.slots, exported.last_step, exported.count, strict=True
            )
        }
        rule = EvictionRule(older_than_step=data.draw(st.integers(0, step)))
        removed = table.remove(rule)
        left = {id_: row for id_, row in model.items() if row[2] >= rule.older_than_step}
        assert removed == len(model) - len(left)
        found = table.export(0, 4096)
        assert found.ids.tolist() == sorted(left)
        for id_, row, slots in zip(found.ids, found.rows, found.slots, strict=True):
            assert (row.tobytes(), slots.tobytes()) == left[int(id_)][:2]


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_a_table_in_parts_loses_the_same_rows_as_one_in_one_piece(parts):
    random = np.random.default_rng(3)
    pushes = [np.unique(random.integers(0, 300, 60)).tolist() for _ in range(12)]
    plan = EvictionPlan(
        time_to_live=TimeToLive(ttl_steps=9),
        minimum_count=MinimumCount(min_count=2, grace_steps=4),
        row_budget=RowBudget(max_rows=77),
    )
    whole = table_after(pushes)
    shards = []
    for part in range(parts):
        mine = [np.array(ids)[server_of(np.array(ids), parts) == part].tolist() for ids in pushes]
        shards.append(table_after(mine))
    assert plan.apply(shards, step=12) == plan.apply([whole], step=12)
    assert len(whole) == 77
    assert ids_of(*shards) == ids_of(whole)


def test_an_eviction_policy_goes_on_after_a_checkpoint_as_before(tmp_path):
    config = EmbeddingConfig(embedding_dim=2, evict_every_steps=2, ttl_steps=3, max_rows=9)
    folder = Folder.open(tmp_path / "saved")
    folder.make()
    store, back = (EmbeddedStore(("t",), config, seed=6) for _ in range(2))
    for step in range(1, 5):
        push(store.table("t"), list(range(step, step + 6)), step)
    back.restore(folder, store.save(folder, step=4), step=4)
    assert back.evict(step=4) == store.evict(step=4) == {"t": 1}  # row 1 was changed at step 1 only
    np.testing.assert_array_equal(back.export("t", 0, 4096).ids, store.export("t", 0, 4096).ids)


def test_memory_of_removed_rows_is_given_back():
    config = EmbeddingConfig(embedding_dim=256)
    table = EmbeddingTable("t", config, seed=6)
    ids = np.arange(50_000)
    table.push(table.prepare(ids), np.ones((50_000, 256), dtype=np.float32), impressions=1, step=1)
    before = table.memory_bytes
    table.remove(EvictionRule(older_than_step=2))
    assert before > 100e6
    assert table.memory_bytes == 0
    assert not table._values.rows[:50_000].any()


def test_rows_of_another_run_count_as_old_in_a_run_that_starts_from_them(tmp_path):
    config = EmbeddingConfig(embedding_dim=2, evict_every_steps=2, max_rows=2)
    folder = Folder.open(tmp_path / "saved")
    folder.make()
    earlier, new = (EmbeddedStore(("t",), config, seed=6) for _ in range(2))
    for step in range(1, 50):
        push(earlier.table("t"), [1, 2], step)
    new.restore(folder, earlier.save(folder, step=49), step=0)
    assert new.export("t", 0, 4096).last_step.tolist() == [0, 0]
    push(new.table("t"), [3, 4], 1)
    new.evict(step=2)
    assert ids_of(new.table("t")) == [3, 4]


def test_shards_are_asked_and_told_all_at_once():
    plan = EvictionPlan(
        time_to_live=TimeToLive(ttl_steps=1),
        minimum_count=MinimumCount(min_count=1, grace_steps=1),
        row_budget=RowBudget(max_rows=1),
    )
    shards, rounds = [table_after([[1, 2]]), table_after([[3, 4]])], []

    def each(call, of_round):
        rounds.append(of_round)
        return one_by_one(call, of_round)

    assert plan.apply(shards, step=1, each=each) == 3
    assert rounds == [shards] * 5  # two rules; the budget's survey, its ties, its rule
