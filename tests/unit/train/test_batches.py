"""Batches made ahead: what is pulled when, and that nobody waits for a step that will not come."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from esmm_dist.arrays import F32, Ids
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.embedding.ticket import Ticket
from esmm_dist.input.config import InputConfig
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.parameter_server.config import ClientConfig
from esmm_dist.train.batches import BatchSource, PushedSteps, ReadingOrder
from tests.support.tiny_dataset import tiny_groups, tiny_schema, write_dataset

STEPS = 5


class RecordingStore(EmbeddedStore):
    """Notes the step of each pull."""

    def __init__(self) -> None:
        super().__init__(("main",), EmbeddingConfig(embedding_dim=2), seed=1)
        self.steps: list[int | None] = []

    def pull(self, ticket: Ticket, *, step: int | None = None) -> F32:
        self.steps.append(step)
        return super().pull(ticket)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return folder, write_dataset(folder, {"train": tiny_groups(8 * STEPS)})


def source(data: tuple[Path, object], store: EmbeddedStore, *, depth: int = 3, **client: object) -> BatchSource:
    folder, manifest = data
    reader = BatchReader(folder, manifest, "train", InputConfig(global_batch_records=8))  # type: ignore[arg-type]
    servers = {"servers": "127.0.0.1:1", **client} if client else {}
    config = ClientConfig(**servers)  # type: ignore[arg-type]
    return BatchSource(reader, LookupPlan(tiny_schema()), store, config, order=ReadingOrder(seed=1), depth=depth)


def settled(steps: list[int | None]) -> list[int | None]:
    """Return the steps once the thread has had time to pull more than it should."""
    time.sleep(0.3)
    return list(steps)


@pytest.mark.parametrize("client", [{}, {"update_mode": "sync"}])
def test_in_sync_the_pull_is_left_to_the_step(data, client):
    store = RecordingStore()
    with source(data, store, **client).between(0, STEPS, PushedSteps(0)) as prepared:
        assert [item.rows for item in prepared] == [None] * STEPS
    assert store.steps == []


class AheadStore(RecordingStore):
    """Notes what is pulled ahead: the step that runs, and the ids that it pushes."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead: list[tuple[int, list[int]]] = []

    def pull_ahead(self, ticket: Ticket, *, step: int, before: Ids) -> None:
        self.ahead.append((step, before.tolist()))


def test_in_sync_rows_of_the_next_batch_are_pulled_once_the_step_has_its_own(data):
    store, pushed = AheadStore(), PushedSteps(0)
    with source(data, store, update_mode="sync").between(0, STEPS, pushed) as prepared:
        items = [next(prepared)]
        for step in range(1, STEPS):
            time.sleep(0.1)
            assert len(store.ahead) == step - 1  # step ``step`` has not its rows yet
            pushed.note_rows(step)
            items.append(next(prepared))
        assert list(prepared) == []
    assert store.ahead == [(step, items[step - 1].tickets["main"].ids.tolist()) for step in range(1, STEPS)]
    assert store.steps == []


def test_embedded_rows_are_not_pulled_ahead(data):
    store = AheadStore()
    with source(data, store).between(0, STEPS, PushedSteps(0)) as prepared:
        assert len(list(prepared)) == STEPS
    assert store.ahead == []


def test_leaving_early_ends_a_thread_that_waits_for_the_rows_of_a_step(data):
    before, start = threading.active_count(), time.monotonic()
    with source(data, AheadStore(), update_mode="sync").between(0, STEPS, PushedSteps(0)) as prepared:
        next(prepared)
    assert time.monotonic() - start < 10
    assert threading.active_count() <= before


def test_in_async_rows_are_pulled_as_far_ahead_as_batches_are_prepared(data):
    store = RecordingStore()
    with source(data, store, update_mode="async").between(0, STEPS, PushedSteps(0)) as prepared:
        next(prepared)
        # one is taken, three wait, one is in hand
        deadline = time.monotonic() + 10
        while len(store.steps) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert store.steps == [1, 2, 3, 4, 5]


def test_in_bounded_rows_are_pulled_as_far_ahead_as_they_may_be_old(data):
    store, pushed = RecordingStore(), PushedSteps(0)
    with source(data, store, update_mode="bounded", max_staleness_steps=2).between(0, STEPS, pushed) as prepared:
        first = next(prepared)
        assert first.rows is not None
        assert first.rows["main"].shape == (len(first.lookups["main"].ids), 2)
        assert settled(store.steps) == [1, 2, 3]  # 3 may miss steps 1 and 2, 4 needs step 1
        pushed.note(1)
        assert settled(store.steps) == [1, 2, 3, 4]
        pushed.note(2)
        assert len(list(prepared)) == STEPS - 1


def test_leaving_early_ends_a_thread_that_waits_for_a_step(data):
    store, pushed = RecordingStore(), PushedSteps(0)
    before = threading.active_count()
    start = time.monotonic()
    with source(data, store, update_mode="bounded", max_staleness_steps=1).between(0, STEPS, pushed) as prepared:
        next(prepared)
    assert time.monotonic() - start < 10
    assert threading.active_count() <= before


def test_batches_go_on_over_epochs_from_any_step(data):
    made = []
    for first in (0, 7):
        with source(data, RecordingStore()).between(first, 9, PushedSteps(first)) as prepared:
            made.append([item.batch.sample_ids.tolist() for item in prepared])
    assert [len(batches) for batches in made] == [9, 2]
    assert made[0][7:] == made[1]
    assert made[0][:STEPS] != made[0][STEPS:]
    assert np.concatenate(made[0][:STEPS]).size == sum(len(group.impressions) for group in tiny_groups(8 * STEPS))
