"""The rows of a run on parameter servers, as the store that training uses."""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import numpy as np

from esmm_dist.arrays import F32, I64, Ids
from esmm_dist.config import build, to_mapping
from esmm_dist.embedding.eviction import SurveyedShard
from esmm_dist.embedding.placement import server_of
from esmm_dist.embedding.run_tables import RunTables
from esmm_dist.embedding.table_files import TableFile
from esmm_dist.embedding.ticket import Ticket
from esmm_dist.errors import ServerError
from esmm_dist.parameter_server import headers, record_batches
from esmm_dist.parameter_server.config import ClientConfig
from esmm_dist.parameter_server.connection import Connection
from esmm_dist.parameter_server.remote_shard import RemoteShard
from esmm_dist.parameter_server.row_pulls import RowPulls
from esmm_dist.parameter_server.run_identity import RunIdentity
from esmm_dist.parameter_server.server_group import ServerGroup
from esmm_dist.parameter_server.step_barrier import ResumeCost
from esmm_dist.storage.folder import Folder

Answer = TypeVar("Answer")
Opening = Literal["open", "resume", "join"]


class RemoteStore:
    """Rows on parameter servers: each request is split by server, sent to all of them at once, and joined in order.

    Thread-safe: ``prepare``, ``pull`` and ``pull_ahead`` may be called beside ``push``, from other threads.
    Shutdown: ``interrupt``, from any thread, ends the calls that wait or are repeated, and lets no other begin;
    ``close`` interrupts what is still at work, and waits for it to end. The rank that opened the run closes it on the
    servers too, before.
    """

    resume_cost: ResumeCost
    """After opening "resume": the steps that it has cost, the most of any server. None otherwise."""

    def __init__(
        self,
        config: ClientConfig,
        tables: RunTables,
        run: RunIdentity,
        *,
        opening: Opening = "open",
        first_step: int = 0,
    ) -> None:
        """Connect to all servers, and open the run on them, or join it.

        "open" begins a generation with no rows, or joins it. "resume" keeps the rows after ``fence_servers``, for any
        number of ranks: one rank does it, and the others "join" after that, with the same arguments. Only "open" opens
        anything: a server that has been started again refuses the other two.

        Args:
            config: addresses, access, mode
            tables: the tables, the same for the life of a run; with ``keep_undo``, a "resume" can undo the last step
            run: which run, and which of its ranks
            opening: how it is opened; see above
            first_step: steps done before

        Raises:
            ConfigError: Rows are embedded, or a token or certificate cannot be read.
            RetryError: A server cannot be reached.
            ServerLostError: "resume" or "join": a server does not have the run open.
            GenerationOverError: The run has gone on under a newer generation.
            ServerError: A server refuses; it serves another run, or takes itself for another index.
        """
        self._servers = ServerGroup(config)
        self._config, self._tables, self._run = config, tables, run
        self._pulls = RowPulls(self._servers, config, run)
        self._counts_impressions = tables.embedding.make_admission().counts
        self._eviction = tables.embedding.make_eviction()
        try:
            self.resume_cost = self._open(opening, first_step)
        except BaseException:
            self.close()
            raise

    def prepare(self, table: str, ids: Ids, counts: I64 | None = None) -> Ticket:
        """Make a ticket, its ids split by server; one server gets all, without asking where each belongs."""
        ticket = Ticket(table=table, ids=ids, counts=counts if self._counts_impressions else None)
        num_servers = len(self._servers)
        if num_servers > 1:
            servers = server_of(ids, num_servers)
            ticket.places = tuple(np.flatnonzero(servers == index) for index in range(num_servers))
        return ticket

    def pull(self, ticket: Ticket, *, step: int | None = None) -> F32:
        """Read rows; see ``EmbeddingStore.pull``. May be called from another thread than ``push``."""
        return self._pulls.pull(ticket, self._tables.embedding.dim_of(ticket.table), step=step)

    def pull_ahead(self, ticket: Ticket, *, step: int, before: Ids) -> None:
        """Read rows of the next step while this one runs; see ``PullsAhead``."""
        self._pulls.pull_ahead(ticket, self._tables.embedding.dim_of(ticket.table), step=step, before=before)

    def push(
        self, ticket: Ticket, gradient_sums: F32, *, impressions: int, step: int, rate_factor: float = 1.0
    ) -> None:
        """Send this rank's gradients of a step to every server, also where it has none: servers count ranks.

        A rank beyond ``RunIdentity.world_size`` has no ids, and calls no server.

        Raises:
            ValueError: It has.
        """
        if self._run.rank >= self._run.world_size:
            if len(ticket.ids):
                raise ValueError(f"rank {self._run.rank} pushes, but the run has {self._run.world_size} ranks that do")
            return

        def push_to(index: int, connection: Connection) -> None:
            ids, gradients, counts = ticket.ids, gradient_sums, ticket.counts
            if ticket.places:
                places = ticket.places[index]
                ids, gradients = ids.take(places), gradients.take(places, axis=0)  # four times as fast as by an index
                counts = None if counts is None else counts.take(places)
            header = headers.PushHeader(
                run=self._run.name,
                generation=self._run.generation,
                table=ticket.table,
                rows=len(ids),
                wire=self._config.wire,
                step=step,
                rank=self._run.rank,
                impressions=impressions,
                rate_factor=rate_factor,
            )
            connection.push(header, record_batches.encode_push(ids, gradients, counts, self._config.wire))

        self._servers.call(push_to)

    def save(self, folder: Folder, *, step: int) -> tuple[TableFile, ...]:
        """Have every server write its rows, all at once; see ``EmbeddingStore.save``. One rank calls it."""
        header = headers.SaveHeader(run=self._run.name, generation=self._run.generation, step=step, folder=folder.name)
        replies = self._servers.call(lambda _, server: server.act_value("save", "files", list[dict[str, Any]], header))
        files = itertools.chain.from_iterable(replies)
        return tuple(build(TableFile, file, where="a server's reply", error=ServerError) for file in files)

    def restore(self, folder: Folder, files: Sequence[TableFile], *, step: int) -> None:
        """Have every server read its rows; see ``EmbeddingStore.restore``. One rank calls it, before any pull."""
        header = headers.RestoreHeader(
            run=self._run.name,
            generation=self._run.generation,
            step=step,
            location=_run_location(folder),
            folder=folder.name,
            files=tuple(files),
        )
        self._servers.call(lambda _, server: server.act("restore", header))

    def evict(self, *, step: int) -> dict[str, int]:
        """Remove rows, on all servers at once; see ``EmbeddingStore.evict``. One rank calls, while no other pushes."""

        def each(call: Callable[[SurveyedShard], Answer], shards: Sequence[SurveyedShard]) -> list[Answer]:
            return self._servers.call(lambda index, _: call(shards[index]))

        shards = {
            table: [RemoteShard(server, self._run, table) for server in self._servers] for table in self._tables.names
        }
        return {table: self._eviction.apply(of_table, step=step, each=each) for table, of_table in shards.items()}

    def num_rows(self, table: str) -> int:
        """Return the number of rows of a table, over all servers."""
        replies = self._servers.call(lambda _, server: server.act_value("stats", "rows_by_table", dict[str, int]))
        return sum(rows.get(table, 0) for rows in replies)

    def close_run(self) -> None:
        """Have the servers forget the run and its rows, so that another may be opened at once. One rank calls it."""
        header = headers.RunHeader(run=self._run.name, generation=self._run.generation)
        self._servers.call(lambda _, server: server.act("close_run", header))

    def interrupt(self) -> None:
        """Have all calls end with a ``WorkerLostError`` rather than wait or be repeated; from any thread, for good."""
        self._servers.interrupt()

    def close(self) -> None:
        """Close the connections; harmless when called twice."""
        self._servers.close()

    def _open(self, opening: Opening, first_step: int) -> ResumeCost:
        def open_on(index: int, connection: Connection) -> ResumeCost:
            header = headers.OpenHeader(
                run=self._run.name,
                location=self._run.location,
                generation=self._run.generation,
                index=index,
                count=len(self._servers),
                world_size=self._run.world_size,
                update_mode=self._config.update_mode,
                max_staleness_steps=self._config.max_staleness_steps,
                first_step=first_step,
                tables=self._tables.names,
                embedding=to_mapping(self._tables.embedding),
                seed=self._tables.seed,
                keep_undo=self._tables.keep_undo,
            )
            reply = connection.act_json(f"{opening}_run", header)
            return build(ResumeCost, reply, where=connection.name, error=ServerError)

        return functools.reduce(ResumeCost.most, self._servers.call(open_on))


def _run_location(checkpoint: Folder) -> str:
    """Return the location of the run that a checkpoint's folder lies in: RUN/checkpoints/NAME."""
    above = checkpoint.parent
    run = above.parent if above is not None and above.name == "checkpoints" else None
    return (run or checkpoint).location
