"""One run on one server: its tables, the order of its steps, and what a call may do when."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np

from esmm_dist.arrays import F32, I64, U64, Ids
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.eviction import EvictionRule
from esmm_dist.embedding.placement import bucket_ranges, server_of
from esmm_dist.embedding.table_files import TableFile
from esmm_dist.embedding.ticket import Ticket
from esmm_dist.parameter_server.headers import OpenHeader, PullHeader, PushHeader
from esmm_dist.parameter_server.pull_reply import PulledRows, ReplyHead
from esmm_dist.parameter_server.rank_push import RankPush, sum_of
from esmm_dist.parameter_server.refusals import NotReadyError, RequestError
from esmm_dist.parameter_server.resume import TableSteps, check_same_run, tables_to_undo
from esmm_dist.parameter_server.stats import Timer
from esmm_dist.parameter_server.step_barrier import ReadyStep, ResumeCost, StepBarrier
from esmm_dist.parameter_server.table_changes import NO_PUSH, LastPush
from esmm_dist.parameter_server.table_gate import GatePassedError, TableGate
from esmm_dist.storage.folder import Folder

_MOST_PATIENCE_S = 20.0  # then the client asks again: no thread waits for long on behalf of one that is gone


class ServedRun:
    """The tables of a run, as far as they live on this server.

    Thread-safe. Each table has a gate: pulls read side by side, a push is applied alone. Every call says of which
    generation it is, and the gates keep those out whose generation is over.
    """

    def __init__(self, opened: OpenHeader, embedding: EmbeddingConfig) -> None:
        """Make empty tables.

        Args:
            opened: settings of the run, from its first client
            embedding: its embedding settings, checked
        """
        self.opened = opened
        self.embedding = embedding
        self._range = bucket_ranges(opened.count)[opened.index]
        self._generation = opened.generation
        self._store = EmbeddedStore(
            opened.tables,
            embedding,
            seed=opened.seed,
            buckets=self._range,
            keep_undo=opened.keep_undo and opened.update_mode != "async",
        )
        self._gates = {table: TableGate(opened.generation) for table in opened.tables}
        self._barriers: dict[str, StepBarrier[RankPush]] = {}
        self._last_push: dict[str, LastPush] = {}
        self._whole = True
        self._resuming = threading.Lock()
        self._last_resume_cost, self.resume_cost = ResumeCost(), ResumeCost()
        self._set_step(opened.first_step)

    @property
    def generation(self) -> int:
        """The newest generation: that of ``opened``, or of a fence after which the run has not resumed yet."""
        return self._generation

    @property
    def is_whole(self) -> bool:
        """Whether the rows are those of a step; they are not while a restore is at work, or after one that failed."""
        return self._whole

    @property
    def step(self) -> int:
        """The last step that all tables have applied."""
        return min((barrier.applied_step for barrier in self._barriers.values()), default=0)

    @property
    def rows_by_table(self) -> dict[str, int]:
        """Rows of each table."""
        return {table: self._store.num_rows(table) for table in self.opened.tables}

    @property
    def num_rows(self) -> int:
        """Rows of all tables."""
        return sum(self.rows_by_table.values())

    @property
    def memory_bytes(self) -> int:
        """Bytes of the rows, slot variables and their metadata, without the hash tables."""
        return sum(self._store.table(table).memory_bytes for table in self.opened.tables)

    @property
    def num_candidates(self) -> int:
        """Ids of all tables that are counted and have no row yet."""
        return sum(self._store.table(table).num_candidates for table in self.opened.tables)

    @property
    def candidate_bytes(self) -> int:
        """Bytes that the candidates take, about."""
        return sum(self._store.table(table).candidate_bytes for table in self.opened.tables)

    @property
    def repeats(self) -> int:
        """Pushes that were dropped because they had come before."""
        return sum(barrier.repeats for barrier in self._barriers.values())

    def embedding_dim(self, table: str) -> int:
        """Return D of a table.

        Raises:
            RequestError: The run has no such table.
        """
        if table not in self._gates:
            raise RequestError(f"the run has no table '{table}'. It has: {', '.join(self.opened.tables)}.")
        return self.embedding.dim_of(table)

    def ticket(self, table: str, ids: Ids, counts: I64 | None = None) -> Ticket:
        """Make a ticket for the ids of a call, which must be strictly ascending and belong to this server.

        Its rows are not found yet: that is done within the table's gate.

        Raises:
            RequestError: They are not, or do not.
        """
        try:
            ticket = Ticket(table=table, ids=ids, counts=counts)
        except ValueError as e:
            raise RequestError(f"{e}. Send each id once, sorted.") from e
        if self.opened.count == 1:
            return ticket
        elsewhere = server_of(ids, self.opened.count) != self.opened.index
        if elsewhere.any():
            stray = ids[[np.argmax(elsewhere)]]
            home = int(server_of(stray, self.opened.count)[0])
            raise RequestError(
                f"table '{table}': id {stray[0]} belongs to server {home}/{self.opened.count}, and this is server "
                f"{self.opened.index}. List the servers in their order."
            )
        return ticket

    def pull(self, header: PullHeader, ticket: Ticket, known: Ticket, timer: Timer) -> PulledRows:
        """Read rows once they are new enough for the header's step; ``timer`` leaves out the wait for that.

        Args:
            header: the call's
            ticket: the ids whose rows are wanted
            known: the ids whose rows are wanted if they have changed since ``header.known_version``
            timer: times the call

        Raises:
            GatePassedError: The generation is over; all methods that take one raise it.
            NotReadyError: Other ranks have not pushed the steps before it within ``patience_s``, or 20 s.
        """
        table, step = header.table, header.step
        with ExitStack() as entered:
            try:
                with timer.waiting():
                    entered.enter_context(
                        self._gates[table].reading(
                            lambda: step is None or self._barriers[table].may_pull(step),
                            generation=header.generation,
                            timeout_s=min(header.patience_s, _MOST_PATIENCE_S),
                        )
                    )
            except TimeoutError as e:
                raise NotReadyError(
                    f"table '{table}': a pull for step {step} waits for step {self._barriers[table].applied_step + 1}, "
                    "which not every rank has pushed"
                ) from e
            version, last = self._store.table(table).version, self._last_push.get(table, NO_PUSH)
            changed = last.changed(known.ids, since=header.known_version, version=version)
            parts = [self._store.pull(ticket)]
            if len(changed):
                parts.append(self._store.pull(Ticket(table=table, ids=known.ids[changed])))
            head = ReplyHead(version=version, before_push=last.version_before(version), changed=changed)
            return PulledRows(head=head, parts=tuple(parts))

    def push(self, header: PushHeader, ticket: Ticket, gradients: F32) -> None:
        """Take a rank's push of a step; apply the step if it is the last one.

        Raises:
            RequestError: The rank is unknown, or the step does not follow the rank's last one.
        """
        push = RankPush(
            ticket=ticket, gradients=gradients, impressions=header.impressions, rate_factor=header.rate_factor
        )
        with self._gates[header.table].writing(generation=header.generation):
            try:
                ready = self._barriers[header.table].offer(header.step, header.rank, push)
            except ValueError as e:
                raise RequestError(f"table '{header.table}': {e}. Restart the run from its checkpoint.") from e
            if ready is not None:
                self._apply(ready)

    def save(self, folder: Folder, *, generation: int, step: int) -> tuple[TableFile, ...]:
        """Write the rows as they are after ``step``.

        Raises:
            GatePassedError: The generation was over before all was written: no checkpoint may come of the files.
            RequestError: The run is at another step.
            RetryError: The storage refused.
        """
        with ExitStack() as entered:
            for gate in self._gates.values():  # so that nothing is undone under way
                entered.enter_context(gate.reading(generation=generation))
            self._check_quiet(step)
            files = self._store.save(folder, step=step)
        if generation < self._generation:
            raise GatePassedError(self._generation)
        return files

    def restore(self, folder: Folder, files: Sequence[TableFile], *, generation: int, step: int) -> None:
        """Replace all rows by those of files; the next push is of ``step`` + 1.

        Raises:
            CheckpointError: A file is missing or damaged, or does not fit.
            RetryError: The storage refused.
        """
        with self._alone(generation):
            self._whole = False
            self._store.restore(folder, files, step=step)
            self._set_step(step)
            self._whole = True

    def last_steps(self, table: str, *, generation: int) -> tuple[Ids, Ids]:
        """Return the steps that changed rows last, and the number of those rows."""
        with self._gates[table].reading(generation=generation):
            return self._store.shard(table).last_steps()

    def tie_hashes(self, table: str, step: int, *, generation: int) -> U64:
        """Return the hashes of the rows that a step changed last."""
        with self._gates[table].reading(generation=generation):
            return self._store.shard(table).tie_hashes(step)

    def remove(self, table: str, rule: EvictionRule, *, generation: int) -> int:
        """Remove rows; return their number."""
        with self._gates[table].writing(generation=generation):
            return self._store.shard(table).remove(rule)

    def fence(self, generation: int) -> None:
        """Let nothing of an older generation change or read rows any more: those that wait are woken and refused."""
        self._generation = generation
        for gate in self._gates.values():
            gate.fence(generation)

    def table_steps(self, *, generation: int) -> dict[str, TableSteps]:
        """Return the steps of each table, once the pushes that are being applied are done."""
        found = {}
        for table, gate in self._gates.items():
            with gate.reading(generation=generation):
                found[table] = self._steps_of(table)
        return found

    def resume(self, opened: OpenHeader) -> ResumeCost:
        """Resume after a fence, from ``opened.first_step``, with the ranks of ``opened``.

        What waits for other ranks' pushes is dropped, and a table that is one step further undoes it. A repeated call
        changes nothing and returns the same.

        Raises:
            RequestError: The settings differ, or a table cannot be brought to that step; nothing was changed.
        """
        with self._resuming:
            if self.opened == opened:
                return self._last_resume_cost
            check_same_run(self.opened, opened)
            with self._alone(opened.generation):
                self._last_resume_cost = self._rewind(opened)
                self.resume_cost = self.resume_cost.plus(self._last_resume_cost)
                self.opened = opened
            return self._last_resume_cost

    def close(self) -> None:
        """Wake all that wait, and let nobody in any more."""
        for gate in self._gates.values():
            gate.close()

    def _rewind(self, opened: OpenHeader) -> ResumeCost:
        step = opened.first_step
        undone = tables_to_undo(
            {table: self._steps_of(table) for table in self._gates}, mode=opened.update_mode, first_step=step
        )
        cost = ResumeCost()
        for table, barrier in self._barriers.items():
            of_table = barrier.rewind(step, opened.world_size)
            if table in undone:
                self._store.table(table).undo_push()
                of_table = ResumeCost(undone_steps=1)
            cost = cost.most(of_table)
        return cost

    def _steps_of(self, table: str) -> TableSteps:
        return TableSteps(applied=self._barriers[table].applied_step, undoable=self._store.table(table).undoable_step)

    @contextmanager
    def _alone(self, generation: int) -> Iterator[None]:
        """Hold all tables as their only writer."""
        with ExitStack() as entered:
            for gate in self._gates.values():
                entered.enter_context(gate.writing(generation=generation))
            yield

    def _apply(self, ready: ReadyStep[RankPush]) -> None:
        merged = sum_of(ready.pushes)
        name, table = merged.ticket.table, self._store.table(merged.ticket.table)
        before = table.version
        self._store.push(
            merged.ticket,
            merged.gradients,
            impressions=merged.impressions,
            step=ready.step,
            rate_factor=merged.rate_factor,
        )
        self._last_push[name] = LastPush(before=before, after=table.version, ids=merged.ticket.ids)

    def _check_quiet(self, step: int) -> None:
        for table, barrier in self._barriers.items():
            if not barrier.is_quiet(step):
                raise RequestError(
                    f"table '{table}': a checkpoint of step {step} was asked for, but the ranks' pushes have reached "
                    f"the steps {', '.join(map(str, barrier.newest_steps))}. Save when every rank has pushed that step."
                )

    def _set_step(self, step: int) -> None:
        opened = self.opened
        self._barriers = {
            table: StepBarrier(
                world_size=opened.world_size,
                mode=opened.update_mode,
                max_staleness_steps=opened.max_staleness_steps,
                applied_step=step,
            )
            for table in opened.tables
        }
