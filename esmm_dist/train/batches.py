"""Batches made ready ahead of the step: read, looked up, and where rows may be a little old, pulled.

One thread reads, and a second one makes what it has read ready.

``sync`` promises each step the rows after the step before it. There a third thread pulls, as soon as a step has its
rows, those of the next batch that the step does not change; the others are left to the next step. In ``bounded`` and
``async`` the second thread pulls all, and the step finds its rows in memory. A pull here never waits for a step that
this rank has not pushed: such a wait could not be ended when training stops.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from esmm_dist.arrays import F32
from esmm_dist.embedding.lookup import LookupPlan, TableLookup
from esmm_dist.embedding.store import EmbeddingStore, PullsAhead
from esmm_dist.embedding.ticket import Ticket
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.input.prefetch import Prefetcher
from esmm_dist.model.inputs import prepare_rows, pull_rows, pull_rows_ahead
from esmm_dist.parameter_server.config import ClientConfig

_READ_AHEAD = 6
"""Batches that are read, of about 5 MB, and wait to be looked up: the first batch of an epoch takes as long to read as
this many steps, since of each lane a block of records is read to be shuffled."""


class Prepared(NamedTuple):
    """A rank's share of a batch, ready for its step."""

    batch: GroupedBatch
    lookups: dict[str, TableLookup]
    tickets: dict[str, Ticket]
    rows: dict[str, F32] | None
    """float32 [U, D] by table; None: still to be pulled, as far as the tickets do not have them"""
    pull_s: float = 0.0
    """Seconds that were spent on pulling its rows ahead of its step"""


@dataclass(frozen=True, kw_only=True)
class ReadingOrder:
    """The order in which a run reads a data set."""

    seed: int | None
    """Seed of the shuffle; None: file order."""
    first_step: int = 0
    """Steps of the run before the first one with this data set."""


class PushedSteps:
    """The newest step that this rank has pushed, and the newest that has its rows, to wait for. Thread-safe.

    Shutdown: ``close`` ends all waiting.
    """

    def __init__(self, step: int) -> None:
        """Begin after ``step``."""
        self._step = self._with_rows = step
        self._closed = False
        self._changed = threading.Condition()

    def note(self, step: int) -> None:
        """Note that a step has been pushed."""
        with self._changed:
            self._step = step
            self._changed.notify_all()

    def wait_for(self, step: int) -> bool:
        """Block until a step has been pushed; return False if ``close`` came first."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._step >= step)
            return not self._closed

    def note_rows(self, step: int) -> None:
        """Note that a step has its rows, and so that every step before it has been applied."""
        with self._changed:
            self._with_rows = step
            self._changed.notify_all()

    def wait_for_rows(self, step: int) -> bool:
        """Block until a step has its rows; return False if ``close`` came first."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._with_rows >= step)
            return not self._closed

    def close(self) -> None:
        """End all waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class BatchSource:
    """Makes the batches of a run, from any step on."""

    def __init__(
        self,
        reader: BatchReader,
        plan: LookupPlan,
        store: EmbeddingStore,
        client: ClientConfig,
        *,
        order: ReadingOrder,
        depth: int,
    ) -> None:
        """Make nothing yet.

        Args:
            reader: reads this rank's share
            plan: finds the unique ids
            store: holds the rows
            client: settings that decide how old rows may be
            order: where the data begins in the run, and how it is shuffled
            depth: batches to hold ready
        """
        self._reader, self._plan, self._store, self._order, self._depth = reader, plan, store, order, depth
        self._pulls_all = not client.embedded and client.update_mode != "sync"
        self._pulls_part = not client.embedded and client.update_mode == "sync"
        self._staleness = client.max_staleness_steps if client.update_mode == "bounded" else None

    @contextmanager
    def between(self, first_step: int, last_step: int, pushed: PushedSteps) -> Iterator[Iterator[Prepared]]:
        """Prepare the batches of steps ``first_step`` + 1 .. ``last_step`` in threads, for the ``with`` block.

        Args:
            first_step: steps done
            last_step: last step to be prepared
            pushed: kept up to date by the caller; closed at the end
        """
        with ExitStack() as stack:  # ends the last thread first: each takes from the one before
            reading = Prefetcher(lambda: self._read(first_step, last_step), depth=self._depth + _READ_AHEAD)
            read = iter(stack.enter_context(reading))
            prepared = Prefetcher(lambda: self._prepared(read, first_step, pushed), depth=self._depth)
            ready = iter(stack.enter_context(prepared))
            store = self._store
            if self._pulls_part and isinstance(store, PullsAhead):
                batches = ready
                part = Prefetcher(lambda: _with_part_of_rows(batches, store, first_step + 1, pushed), depth=1)
                ready = iter(stack.enter_context(part))
            stack.callback(pushed.close)
            yield ready

    def _read(self, first_step: int, last_step: int) -> Iterator[GroupedBatch]:
        step = first_step
        while step < last_step:
            epoch, offset = divmod(step - self._order.first_step, self._reader.steps_per_epoch)
            for batch in self._reader.epoch(epoch, first_step=offset, seed=self._order.seed):
                yield batch
                step += 1
                if step == last_step:
                    return

    def _prepared(self, batches: Iterator[GroupedBatch], first_step: int, pushed: PushedSteps) -> Iterator[Prepared]:
        for step, batch in enumerate(batches, start=first_step + 1):
            lookups = self._plan.prepare(batch)
            tickets = prepare_rows(self._store, lookups)
            if not self._pulls_all:
                yield Prepared(batch, lookups, tickets, None)
                continue
            if self._staleness is not None and not pushed.wait_for(step - 1 - self._staleness):
                return
            began = time.perf_counter()
            rows = pull_rows(self._store, tickets, step=step)
            yield Prepared(batch, lookups, tickets, rows, time.perf_counter() - began)


def _with_part_of_rows(
    batches: Iterator[Prepared], store: PullsAhead, first_step: int, pushed: PushedSteps
) -> Iterator[Prepared]:
    """Yield the batches of steps ``first_step``, ..., the rows pulled ahead that the step before does not change."""
    before: Prepared | None = None
    for step, batch in enumerate(batches, start=first_step):
        if before is not None:
            if not pushed.wait_for_rows(step - 1):
                return
            began = time.perf_counter()
            pull_rows_ahead(store, batch.tickets, before.tickets, step=step - 1)
            batch = batch._replace(pull_s=time.perf_counter() - began)
        yield batch
        before = batch
