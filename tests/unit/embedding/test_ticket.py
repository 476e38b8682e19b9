"""Tickets: what a table has found out about ids is used while it holds, and never after."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.arrays import F32, I64, Ids
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.eviction import EvictionRule
from esmm_dist.embedding.table import EmbeddingTable
from esmm_dist.embedding.table_rows import Candidates
from esmm_dist.embedding.ticket import Ticket

CONFIG = EmbeddingConfig(embedding_dim=2, embedding_learning_rate=0.5, start_scale=0.1, embedding_optimizer="adam")
COUNTING = EmbeddingConfig(embedding_dim=2, embedding_optimizer="sgd", admit_after=3)


def gradients(ids: Ids, step: int) -> F32:
    return np.random.default_rng(step).normal(size=(len(ids), 2)).astype(np.float32)


def push(table: EmbeddingTable, ids: Ids, step: int) -> None:
    """Push with a ticket of its own, which has neither been pulled nor waited."""
    table.push(table.prepare(ids, ones(ids)), gradients(ids, step), impressions=1, step=step)


def ones(ids: Ids) -> I64:
    return np.ones(len(ids), dtype=np.int64)


def searches(table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Return a list that gets the ids of each search in the hash table from now on."""
    searched, find = [], table._index.find

    def find_and_note(ids: Ids) -> Ids:
        searched.append(ids.tolist())
        return find(ids)

    monkeypatch.setattr(table._index, "find", find_and_note)
    return searched


def assert_same(found: EmbeddingTable, expected: EmbeddingTable) -> None:
    rows, reference = found.export(0, 4096), expected.export(0, 4096)
    for column in ("ids", "rows", "slots", "last_step", "count"):
        np.testing.assert_array_equal(getattr(rows, column), getattr(reference, column))
    candidates, waiting = found.export_candidates(0, 4096), expected.export_candidates(0, 4096)
    np.testing.assert_array_equal(candidates.ids, waiting.ids)
    np.testing.assert_array_equal(candidates.impressions, waiting.impressions)
    np.testing.assert_array_equal(candidates.last_step, waiting.last_step)


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([3, 1, 2], "Table 't': ids must be strictly ascending; id 1 follows 3 at 1"),
        ([1, 2, 2], "Table 't': ids must be strictly ascending; id 2 follows 2 at 2"),
        ([1.0, 2.0], r"Table 't': ids are float64 \[2\], expected int64 \[U\]"),
        ([[1, 2]], r"Table 't': ids are int64 \[1, 2\], expected int64 \[U\]"),
    ],
)
def test_a_ticket_of_ids_that_are_not_strictly_ascending_cannot_be_made(ids, text):
    with pytest.raises(ValueError, match=text):
        Ticket(table="t", ids=np.array(ids))
    with pytest.raises(ValueError, match=text):
        EmbeddingTable("t", CONFIG, seed=6).prepare(np.array(ids))


@pytest.mark.parametrize("ids", [[], [7], [-(2**63), 0, 2**63 - 1]])
def test_no_id_one_id_and_the_ends_of_int64_are_strictly_ascending(ids):
    assert Ticket(table="t", ids=np.array(ids, dtype=np.int64)).ids.tolist() == ids


def test_a_pull_uses_what_was_found_ahead_and_a_push_what_was_pulled(monkeypatch):
    table = EmbeddingTable("t", CONFIG, seed=6)
    ids = np.array([1, 5, 9])
    push(table, ids, 1)
    searched = searches(table, monkeypatch)
    ticket = table.prepare(ids)
    table.pull(ticket)
    table.push(ticket, gradients(ids, 2), impressions=1, step=2)
    assert searched == [[1, 5, 9]]


def test_after_a_push_only_ids_that_had_no_row_are_searched_again(monkeypatch):
    table = EmbeddingTable("t", CONFIG, seed=6)
    ids = np.array([1, 5, 9])
    push(table, ids[:1], 1)
    ticket = table.prepare(ids)
    push(table, ids[1:2], 2)
    searched = searches(table, monkeypatch)
    table.pull(ticket)
    assert searched == [[5, 9]]


def test_an_id_found_without_a_row_and_created_since_is_pulled_as_it_is_now():
    table = EmbeddingTable("t", CONFIG, seed=6)
    ids = np.array([1, 5, 9])
    ticket = table.prepare(ids)
    push(table, ids[:2], 1)
    np.testing.assert_array_equal(table.pull(ticket), table.pull(table.prepare(ids)))
    # were 1 and 5 still held for unseen, this push would give them second rows
    table.push(ticket, gradients(ids, 2), impressions=1, step=2)
    assert len(table) == 3
    assert table.export(0, 4096).count.tolist() == [2, 2, 1]


def test_training_with_rows_found_ahead_equals_training_without():
    plain, ahead = EmbeddingTable("t", CONFIG, seed=6), EmbeddingTable("t", CONFIG, seed=6)
    batches = [np.unique(np.random.default_rng(step).integers(0, 300, 120)) for step in range(12)]
    tickets = [Ticket(table="t", ids=ids) for ids in batches]
    for ticket in tickets[:3]:
        ahead.find(ticket)
    for number, ids in enumerate(batches):
        if number + 3 < len(batches):  # three batches ahead, as the prefetcher does
            thread = threading.Thread(target=ahead.find, args=(tickets[number + 3],))
            thread.start()
        for table, ticket in ((plain, plain.prepare(ids)), (ahead, tickets[number])):
            table.pull(ticket)
            table.push(ticket, gradients(ids, number), impressions=4, step=number + 1)
        thread.join()
    assert_same(ahead, plain)


IDS = np.array([9])
CHANGES = {
    "push": lambda table, other: push(table, np.array([1, 5, 10]), 3),
    "undo": lambda table, other: table.undo_push(),
    "remove": lambda table, other: table.remove(EvictionRule(older_than_step=2)),
    "clear": lambda table, other: table.clear(),
    "load": lambda table, other: table.load(other),
    "load_candidates": lambda table, other: table.load_candidates(
        Candidates(ids=IDS, impressions=ones(IDS), last_step=ones(IDS))
    ),
}


@pytest.mark.parametrize("config", [CONFIG, COUNTING], ids=["all admitted", "counted"])
@pytest.mark.parametrize("pulled", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_a_ticket_made_before_a_change_gives_what_one_made_after_it_gives(change, pulled, config):
    def table() -> EmbeddingTable:
        made = EmbeddingTable("t", config, seed=6, keep_undo=True)
        for _ in range(3):  # an id is admitted with its third impression
            push(made, np.array([1, 2, 3]), 1)
        for _ in range(3):
            push(made, np.array([3, 5, 8]), 2)
        return made

    def saved() -> object:
        other = EmbeddingTable("t", config, seed=6)
        for _ in range(3):
            push(other, IDS, 1)
        return other.export(0, 4096)

    early, late = table(), table()
    ids = np.array([1, 3, 5, 8, 9, 10])
    ticket = early.prepare(ids, ones(ids))
    if pulled:
        early.pull(ticket)
    for each in (early, late):
        CHANGES[change](each, saved())
    fresh = late.prepare(ids, ones(ids))
    for _ in range(2):  # the second pull reads what the first has found
        np.testing.assert_array_equal(early.pull(ticket), late.pull(fresh))
    for step in (4, 5, 6):  # a ticket may be pushed again
        for each, of_each in ((early, ticket), (late, fresh)):
            each.push(of_each, gradients(ids, step), impressions=1, step=step)
    assert_same(early, late)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_any_order_of_calls_with_waiting_tickets_equals_the_same_pushes_with_fresh_ones(data):
    config = data.draw(st.sampled_from([CONFIG, COUNTING]))
    table, reference = (EmbeddingTable("t", config, seed=6, max_rows=1000) for _ in range(2))
    tickets: list[Ticket] = []
    for step in range(1, data.draw(st.integers(2, 12))):
        call = data.draw(st.sampled_from(["prepare", "prepare", "pull", "push", "push", "remove"]))
        if call == "prepare" or not tickets:
            ids = np.array(sorted(data.draw(st.sets(st.integers(0, 9)))), dtype=np.int64)
            tickets.append(table.prepare(ids, ones(ids)))
            continue
        ticket = tickets[data.draw(st.integers(0, len(tickets) - 1))]
        if call == "pull":
            fresh = reference.pull(reference.prepare(ticket.ids))
            np.testing.assert_array_equal(table.pull(ticket), fresh)
        elif call == "push":
            table.push(ticket, gradients(ticket.ids, step), impressions=1, step=step)
            push(reference, ticket.ids, step)
        else:
            rule = EvictionRule(older_than_step=step - 3)
            assert table.remove(rule) == reference.remove(rule)
    assert_same(table, reference)


def test_a_ticket_of_another_table_is_found_anew():
    first, second = (EmbeddingTable("t", CONFIG, seed=6) for _ in range(2))
    ids = np.array([1, 5, 9])
    push(first, ids, 1)
    push(second, np.array([0, 5]), 1)
    push(second, np.array([9]), 2)
    ticket = first.prepare(ids)
    first.pull(ticket)
    np.testing.assert_array_equal(second.pull(ticket), second.pull(second.prepare(ids)))


def test_a_pulled_array_is_the_callers_own():
    table = EmbeddingTable("t", CONFIG, seed=6)
    ticket = table.prepare(np.array([1, 5]))
    start = table.pull(ticket)
    kept = start.copy()
    start[:] = 99.0
    np.testing.assert_array_equal(table.pull(ticket), kept)
    pulled = table.pull(ticket)
    table.push(ticket, gradients(ticket.ids, 1), impressions=1, step=1)
    np.testing.assert_array_equal(pulled, kept)


def test_a_push_that_fails_leaves_its_ticket_usable():
    table = EmbeddingTable("t", CONFIG, seed=6)
    ids = np.array([1, 5])
    ticket = table.prepare(ids)
    start = table.pull(ticket)
    with pytest.raises(ValueError, match=r"gradients have shape \[1, 2\], expected \[2, 2\]"):
        table.push(ticket, gradients(ids[:1], 1), impressions=1, step=1)
    np.testing.assert_array_equal(table.pull(ticket), start)
    assert len(table) == 0


def test_a_store_gives_a_ticket_to_the_table_that_it_names():
    store = EmbeddedStore(("a", "b"), CONFIG, seed=6)
    ids = np.array([1, 5])
    store.push(store.prepare("b", ids), gradients(ids, 1), impressions=1, step=1)
    assert (store.num_rows("a"), store.num_rows("b")) == (0, 2)
    with pytest.raises(KeyError, match="c"):
        store.prepare("c", ids)
