"""The rows of a run on parameter servers, as the store that training uses."""

import functools
import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from esmm_dist.arrays import F32, U64, Ids
from esmm_dist.config import build, to_mapping
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.eviction import EvictionRule
from esmm_dist.embedding.placement import server_of
from esmm_dist.embedding.table_files import TableFile
from esmm_dist.embedding.table_rows import check_ids
from esmm_dist.errors import ConfigError, GenerationOverError, ServerError, ServerLostError, WorkerLostError
from esmm_dist.parameter_server import headers, wire
from esmm_dist.parameter_server.config import ClientConfig, ConnectionConfig, UpdateMode
from esmm_dist.parameter_server.connection import Connection
from esmm_dist.parameter_server.stats import ServerStats
from esmm_dist.parameter_server.step_barrier import Rewound
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.location import Location

Result = TypeVar("Result")

Opening = Literal["open", "continue", "join"]

_KEPT_SPLITS = 64
_PATIENCE_S = 1.0  # of a server with one try of a pull, after which the client looks whether it was interrupted
_ACTIONS: dict[Opening, str] = {"open": "open_run", "continue": "continue_run", "join": "join_run"}


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """Which run a rank belongs to."""

    location: str
    """Folder or URI of the run, absolute."""
    generation: int
    """From ``next_generation``, the same on all ranks."""
    rank: int
    world_size: int
    purpose: str = "train"

    @property
    def name(self) -> str:
        """Names the run on the servers and in their messages: without credentials."""
        place = str(Location.parse(self.location))
        return place if self.purpose == "train" else f"{place} ({self.purpose})"


class RemoteStore:
    """Rows on parameter servers: each request is split by server, sent to all of them at once, and joined in order.

    Thread-safe: ``expect`` and ``pull`` may be called beside ``push``, from other threads.
    Shutdown: ``interrupt``, from any thread, ends the calls that wait or are repeated, and lets no other begin;
    ``close`` interrupts what is still at work, and waits for it to end. The rank that opened the run closes it on the
    servers too, before.
    """

    rewound: Rewound
    """After opening "continue": what going on has cost, the most of any server. Nothing otherwise."""

    def __init__(
        self,
        config: ClientConfig,
        tables: tuple[str, ...],
        embedding: EmbeddingConfig,
        *,
        seed: int,
        run: RunIdentity,
        first_step: int = 0,
        opening: Opening = "open",
        keep_undo: bool = False,
    ) -> None:
        """Connect to all servers, and open the run on them, or join it.

        "open" begins a generation with no rows, or joins it. "continue" goes on with the rows after ``fence_servers``,
        with any number of ranks: one rank does it, and the others "join" after that, with the same arguments. Only
        "open" opens anything: a server that has been started again refuses the other two.

        Args:
            config: Addresses, access, mode.
            tables: Names of the tables.
            embedding: Of the rows.
            seed: Of the run.
            run: Which run, and which of its ranks.
            first_step: Steps done before.
            opening: How; see above.
            keep_undo: Have the servers keep what the last step changed, so that "continue" can undo it. The same for
                the life of a run.

        Raises:
            ConfigError: Rows are embedded, or a token or certificate cannot be read.
            RetryError: A server cannot be reached.
            ServerLostError: "continue" or "join": a server does not have the run open.
            GenerationOverError: The run has gone on under a newer generation.
            ServerError: A server refuses; it serves another run, or takes itself for another index.
        """
        if config.embedded:
            raise ConfigError("servers is 'embedded': there are no servers to connect to.")
        self._config, self._embedding, self._run = config, embedding, run
        self._eviction = embedding.make_eviction()
        self._interrupted = threading.Event()
        self._connections = [Connection(config, index, self._interrupted) for index in range(len(config.addresses))]
        self._threads = ThreadPoolExecutor(max_workers=2 * len(self._connections), thread_name_prefix="server")
        self._splits: dict[int, tuple[Ids, list[Ids]]] = {}
        self._splits_lock = threading.Lock()
        self._tables = tables
        try:
            self.rewound = self._open(seed, first_step, opening, keep_undo=keep_undo)
        except BaseException:
            self.close()
            raise

    def expect(self, table: str, ids: Ids) -> None:
        """Split ids by server ahead."""
        self._split(ids)

    def pull(self, table: str, ids: Ids, *, step: int | None = None) -> F32:
        """Read rows; see ``EmbeddingStore.pull``. May be called from another thread than ``push``."""
        check_ids(ids, table=table)
        dim = self._embedding.dim_of(table)

        def pull_from(index: int, part: Ids) -> F32:
            if len(part) == 0:
                return np.empty((0, dim), dtype=np.float32)
            header = wire.PullHeader(
                run=self._run.name,
                generation=self._run.generation,
                table=table,
                rows=len(part),
                wire=self._config.wire,
                step=step,
                patience_s=min(_PATIENCE_S, self._config.server_timeout_s / 2),
            )
            return self._connections[index].pull(header, part, dim)

        places = self._split(ids)
        if len(places) == 1:
            return pull_from(0, ids)
        parts = self._at_once(lambda index: pull_from(index, ids[places[index]]))
        rows = np.empty((len(ids), dim), dtype=np.float32)
        for of_server, part in zip(places, parts, strict=True):
            rows[of_server] = part
        return rows

    def push(
        self,
        table: str,
        ids: Ids,
        gradient_sums: F32,
        *,
        impressions: int,
        step: int,
        rate_factor: float = 1.0,
        counts: Ids | None = None,
    ) -> None:
        """Send this rank's gradients of a step to every server, also where it has none: servers count ranks."""
        check_ids(ids, table=table)
        places = self._split(ids)
        with self._splits_lock:
            self._splits.pop(id(ids), None)
        if not self._embedding.make_admission().counts:
            counts = None

        def push_to(index: int) -> None:
            whole = len(places) == 1
            part = ids if whole else ids[places[index]]
            gradients = gradient_sums if whole else gradient_sums[places[index]]
            of_part = counts if whole or counts is None else counts[places[index]]
            header = wire.PushHeader(
                run=self._run.name,
                generation=self._run.generation,
                table=table,
                rows=len(part),
                wire=self._config.wire,
                step=step,
                rank=self._run.rank,
                impressions=impressions,
                rate_factor=rate_factor,
            )
            self._connections[index].push(header, wire.encode_push(part, gradients, of_part, self._config.wire))

        self._at_once(push_to)

    def save(self, folder: Folder, *, step: int) -> tuple[TableFile, ...]:
        """Have every server write its rows, all at once; see ``EmbeddingStore.save``. One rank calls it."""
        header = headers.SaveHeader(run=self._run.name, generation=self._run.generation, step=step, folder=folder.name)
        replies = self._at_once(lambda i: self._connections[i].act_value("save", "files", list[dict[str, Any]], header))
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
        self._at_once(lambda index: self._connections[index].act("restore", header))

    def evict(self, *, step: int) -> dict[str, int]:
        """Remove rows on all servers; see ``EmbeddingStore.evict``. One rank calls it, while no other pushes."""
        removed = {}
        for table in self._tables:
            shards = [_RemoteShard(self._connections[i], self._run, table) for i in range(len(self._connections))]
            removed[table] = self._eviction.apply(shards, step=step)
        return removed

    def num_rows(self, table: str) -> int:
        """Return the number of rows of a table, over all servers."""
        replies = self._at_once(lambda i: self._connections[i].act_value("stats", "rows_by_table", dict[str, int]))
        return sum(rows.get(table, 0) for rows in replies)

    def close_run(self) -> None:
        """Have the servers forget the run and its rows, so that another may be opened at once. One rank calls it."""
        header = headers.RunHeader(run=self._run.name, generation=self._run.generation)
        self._at_once(lambda index: self._connections[index].act("close_run", header))

    def interrupt(self) -> None:
        """Have all calls end with a ``WorkerLostError`` rather than wait or be repeated; from any thread, for good."""
        self._interrupted.set()

    def close(self) -> None:
        """Close the connections; harmless when called twice."""
        self.interrupt()
        self._threads.shutdown()
        for connection in self._connections:
            connection.close()

    def _open(self, seed: int, first_step: int, opening: Opening, *, keep_undo: bool) -> Rewound:
        def open_on(index: int) -> Rewound:
            header = headers.OpenHeader(
                run=self._run.name,
                location=self._run.location,
                generation=self._run.generation,
                index=index,
                count=len(self._connections),
                world_size=self._run.world_size,
                update_mode=self._config.update_mode,
                max_staleness_steps=self._config.max_staleness_steps,
                first_step=first_step,
                tables=self._tables,
                embedding=to_mapping(self._embedding),
                seed=seed,
                keep_undo=keep_undo,
            )
            connection = self._connections[index]
            reply = connection.act_json(_ACTIONS[opening], header)
            return build(Rewound, reply, where=connection.name, error=ServerError)

        return functools.reduce(Rewound.most, self._at_once(open_on))

    def _split(self, ids: Ids) -> list[Ids]:
        """Return the places of the ids of each server; one server gets all, without asking where each belongs."""
        if len(self._connections) == 1:
            return [np.empty(0, np.int64)]
        known = self._splits.get(id(ids))
        if known is not None and known[0] is ids:
            return known[1]
        servers = server_of(ids, len(self._connections))
        places = [np.flatnonzero(servers == index) for index in range(len(self._connections))]
        with self._splits_lock:
            while len(self._splits) >= _KEPT_SPLITS:  # of batches that were never pushed: evaluation
                self._splits.pop(next(iter(self._splits)))
            self._splits[id(ids)] = (ids, places)
        return places

    def _at_once(self, call: Callable[[int], Result]) -> list[Result]:
        """Call for all servers at once; return the results in their order, or raise the first error that comes."""
        if self._interrupted.is_set():
            raise WorkerLostError("The call was interrupted: another rank ended, or the store is closed.")
        if len(self._connections) == 1:
            return [call(0)]
        futures = [self._threads.submit(call, index) for index in range(len(self._connections))]
        return _results(futures)


def _results(futures: Sequence[Future[Result]]) -> list[Result]:
    """Return the results in order, or raise an error as soon as there is one.

    Where several have come by then, one that says what has happened to the run goes before a mere failure to reach a
    server.
    """
    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
    errors = [error for future in futures if future in done and (error := future.exception()) is not None]
    if errors:
        raise next((e for e in errors if isinstance(e, (GenerationOverError, ServerLostError))), errors[0])
    return [future.result() for future in futures]


def _run_location(checkpoint: Folder) -> str:
    """Return the location of the run that a checkpoint's folder lies in: RUN/checkpoints/NAME."""
    above = checkpoint.parent
    run = above.parent if above is not None and above.name == "checkpoints" else None
    return (run or checkpoint).location


class _RemoteShard:
    """What an eviction asks of one server."""

    def __init__(self, connection: Connection, run: RunIdentity, table: str) -> None:
        self._connection = connection
        self._of: dict[str, Any] = {"run": run.name, "generation": run.generation, "table": table}

    def last_steps(self) -> tuple[Ids, Ids]:
        reply = build(
            headers.LastSteps,
            self._connection.act_json("last_steps", headers.SurveyHeader(**self._of)),
            where=self._connection.name,
            error=ServerError,
        )
        return np.array(reply.steps, dtype=np.int64), np.array(reply.rows, dtype=np.int64)

    def tie_hashes(self, step: int) -> U64:
        reply = self._connection.act("tie_hashes", headers.TieHeader(**self._of, step=step))
        if len(reply) % 8:
            raise ServerError(f"{self._connection.name} sent {len(reply)} bytes of hashes. Is it of this version?")
        return np.frombuffer(reply, dtype="<u8").astype(np.uint64)

    def remove(self, rule: EvictionRule) -> int:
        header = headers.EvictHeader(**self._of, rule=asdict(rule))
        return self._connection.act_value("evict", "removed", int, header)


def server_stats(config: ConnectionConfig) -> list[ServerStats]:
    """Ask every server for its figures.

    Raises:
        ConfigError: Rows are embedded, or a token or certificate cannot be read.
        RetryError: A server cannot be reached.
        ServerError: A server refuses.
    """
    if config.embedded:
        raise ConfigError("servers is 'embedded'. Give --servers HOST:PORT,HOST:PORT.")
    found = []
    for index, address in enumerate(config.addresses):
        connection = Connection(config, index)
        try:
            reply = connection.act_json("stats") | {"address": address}
        finally:
            connection.close()
        found.append(build(ServerStats, reply, where=connection.name, error=ServerError))
    return found


@dataclass(frozen=True, kw_only=True)
class ServerRunState:
    """Where a run stands on one server when a new generation begins."""

    open: bool
    """False: the server has no rows of the run, or not all; then the rest is empty."""
    steps: dict[str, int]
    """The last step that each table has applied."""
    undoable: dict[str, int | None]
    """The step that each table can undo; None: none."""
    world_size: int
    update_mode: UpdateMode | None


def fence_servers(
    config: ConnectionConfig, run: RunIdentity, *, interrupted: threading.Event | None = None
) -> list[ServerRunState]:
    """Begin a new generation of a run on all servers at once: they refuse all calls of older ones from then on.

    Calls that wait are woken and refused. The rows stay, for a ``RemoteStore`` with opening "continue"; one with
    opening "open" begins anew. May be repeated until then. One rank, or whoever supervises them, does it.

    Args:
        config: Addresses and access.
        run: With a generation that is new: from ``next_generation``.
        interrupted: Once set, calls are not repeated any more.

    Returns:
        What each server has, in their order.

    Raises:
        ConfigError: As ``server_stats``.
        GenerationOverError: A server has seen that generation, or a newer one.
        RetryError: A server cannot be reached; the others have been fenced.
        ServerError: A server refuses: another run uses it.
    """
    if config.embedded:
        raise ConfigError("servers is 'embedded'. Give --servers HOST:PORT,HOST:PORT.")
    header = headers.RunHeader(run=run.name, generation=run.generation)

    def fence(index: int) -> ServerRunState:
        connection = Connection(config, index, interrupted)
        try:
            reply = connection.act_json("fence", header)
        finally:
            connection.close()
        return build(ServerRunState, reply, where=connection.name, error=ServerError)

    with ThreadPoolExecutor(max_workers=len(config.addresses), thread_name_prefix="fence") as threads:
        return list(threads.map(fence, range(len(config.addresses))))


def next_generation(config: ConnectionConfig) -> int:
    """Return a generation that no server has seen yet. One rank asks, and shares it with the others.

    Raises:
        ConfigError: As ``server_stats``.
        RetryError: As ``server_stats``.
        ServerError: As ``server_stats``.
    """
    return max(stats.generation for stats in server_stats(config)) + 1
