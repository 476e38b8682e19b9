"""Undoing a table's last push: afterwards it is bit for bit what it was."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.eviction import EvictionRule
from esmm_dist.embedding.table import EmbeddingTable
from esmm_dist.embedding.table_rows import Candidates
from esmm_dist.embedding.ticket import Ticket

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adagrad": {"embedding_optimizer": "adagrad"},
    "rowwise_adagrad": {"embedding_optimizer": "rowwise_adagrad"},
    "adam": {"embedding_optimizer": "adam"},
    "sgd": {"embedding_optimizer": "sgd"},  # no slot variable
    "momentum": {"embedding_optimizer": "sgd", "embedding_momentum": 0.5},
    "ftrl": {"embedding_optimizer": "ftrl"},
}
ALL_IDS = np.arange(12)
NOTHING = np.empty(0, dtype=np.int64)


def make(optimizer: str = "adagrad", *, admit_after: int = 1) -> EmbeddingTable:
    config = EmbeddingConfig(embedding_dim=2, admit_after=admit_after, **OPTIMIZERS[optimizer])
    return EmbeddingTable("t", config, seed=6, max_rows=1000, keep_undo=True)


def push(table: EmbeddingTable, ids: np.ndarray, *, step: int, seed: int = 0, held: int = 1) -> None:
    push_ticket(table, table.prepare(ids, np.full(len(ids), held)), step=step, seed=seed)


def push_ticket(table: EmbeddingTable, ticket: Ticket, *, step: int, seed: int = 0) -> None:
    gradients = np.random.default_rng([step, seed]).normal(size=(len(ticket.ids), 2)).astype(np.float32)
    table.push(ticket, gradients, impressions=3, step=step)


def state(table: EmbeddingTable) -> tuple[Any, ...]:
    """Everything that the table holds, and where: rows, slot variables, metadata, row numbers, candidates."""
    used = len(table)
    codes = table._index.find(ALL_IDS).tolist()
    candidates = table.export_candidates(0, 4096)
    return (
        used, table._values.rows.tobytes(), table._ids.rows.tobytes(), codes,
        len(table._index), candidates.ids.tolist(), candidates.impressions.tolist(), candidates.last_step.tolist(),
    )  # fmt: skip


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@settings(deadline=None, max_examples=25)
@given(st.data())
def test_undoing_any_push_puts_back_every_bit_and_the_redone_push_gives_what_it_gave(optimizer, data):
    table = make(optimizer, admit_after=data.draw(st.sampled_from([1, 3])))
    for step in range(1, data.draw(st.integers(2, 5))):
        ids = np.array(sorted(data.draw(st.sets(st.integers(0, 11)))), dtype=np.int64)
        held = data.draw(st.integers(1, 3))
        before = state(table)
        ticket = table.prepare(ids, np.full(len(ids), held))
        if data.draw(st.booleans()):
            table.pull(ticket)  # the push starts from what it read
        push_ticket(table, ticket, step=step)
        after = state(table)
        if data.draw(st.booleans()):
            table.pull(ticket)  # for the step that will not come
        assert table.undo_push() == step
        assert state(table) == before
        assert table.undoable_step is None
        push_ticket(table, ticket, step=step)
        assert state(table) == after


def test_what_was_pulled_and_found_after_the_undone_push_is_forgotten():
    table, reference = make(), make()
    for each in (table, reference):
        push(each, ALL_IDS[:4], step=1)
    push(table, ALL_IDS, step=2)
    ticket = table.prepare(ALL_IDS)
    pulled = table.pull(ticket)
    table.undo_push()
    assert (table.pull(ticket) != pulled).any()
    push_ticket(table, ticket, step=2, seed=1)
    push(reference, ALL_IDS, step=2, seed=1)
    assert state(table) == state(reference)


def test_a_push_of_no_ids_is_a_step_that_can_be_undone():
    table = make()
    push(table, ALL_IDS, step=1)
    before = state(table)
    push(table, NOTHING, step=2)
    assert table.undoable_step == 2
    assert table.undo_push() == 2
    assert state(table) == before


def test_only_the_last_push_can_be_undone_and_only_once():
    table = make()
    push(table, ALL_IDS, step=1)
    push(table, ALL_IDS, step=2)
    assert table.undo_push() == 2
    with pytest.raises(ValueError, match="Table 't': there is no push to undo. Make the table with keep_undo"):
        table.undo_push()


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.remove(EvictionRule(older_than_step=2)),
        lambda table: table.clear(),
        lambda table: table.load(make().export(0, 4096)),
        lambda table: table.load_candidates(Candidates(ids=NOTHING, impressions=NOTHING, last_step=NOTHING)),
    ],
    ids=["remove", "clear", "load", "load_candidates"],
)
def test_rows_that_are_removed_or_loaded_end_the_undoing(change):
    table = make()
    push(table, ALL_IDS[:3], step=1)
    push(table, ALL_IDS[3:], step=2)
    assert table.undoable_step == 2
    change(table)
    assert table.undoable_step is None


def test_an_eviction_that_removes_nothing_leaves_the_push_undoable():
    table = make()
    push(table, ALL_IDS, step=1)
    assert table.remove(EvictionRule(older_than_step=1)) == 0
    assert table.undo_push() == 1


def test_a_table_that_keeps_nothing_says_so():
    table = EmbeddingTable("t", EmbeddingConfig(embedding_dim=2), seed=6)
    push(table, ALL_IDS, step=1)
    assert table.undoable_step is None
    with pytest.raises(ValueError, match="there is no push to undo"):
        table.undo_push()


def test_a_store_undoes_a_step_of_all_its_tables_or_of_none():
    config = EmbeddingConfig(embedding_dim=2)
    store = EmbeddedStore(("a", "b"), config, seed=6, keep_undo=True)
    for step in (1, 2):
        push(store.table("a"), ALL_IDS, step=step)
    push(store.table("b"), ALL_IDS, step=1)
    with pytest.raises(ValueError, match="Table 'b': the push of step 2 cannot be undone, only that of step 1"):
        store.undo(2)
    assert store.table("a").undoable_step == 2
    push(store.table("b"), ALL_IDS, step=2)
    store.undo(2)
    with pytest.raises(ValueError, match="Table 'a': the push of step 1 cannot be undone, only none"):
        store.undo(1)
