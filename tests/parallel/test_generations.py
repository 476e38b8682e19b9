"""A run that goes on after a loss: steps undone and redone, other numbers of ranks, and those who were left behind."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.flight as flight
import pytest

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.run_tables import RunTables
from esmm_dist.embedding.ticket import Ticket
from esmm_dist.errors import (
    CheckpointError,
    ConfigError,
    EsmmError,
    GenerationOverError,
    ServerError,
    ServerLostError,
    WorkerLostError,
)
from esmm_dist.parameter_server import headers, row_pulls
from esmm_dist.parameter_server.config import ClientConfig, ConnectionConfig, ServerConfig
from esmm_dist.parameter_server.generations import fence_servers, next_generation
from esmm_dist.parameter_server.process import RunningServer, running_server
from esmm_dist.parameter_server.read_stats import server_stats
from esmm_dist.parameter_server.record_batches import encode_push
from esmm_dist.parameter_server.remote_store import RemoteStore
from esmm_dist.parameter_server.run_identity import RunIdentity
from esmm_dist.parameter_server.step_barrier import ResumeCost
from esmm_dist.progress import NoProgress
from tests.parallel.store_clients import DIM, OPTIMIZERS, embedding, pulled_rows, random_step, rows_of, saved

pytestmark = pytest.mark.timeout(120)

TABLES = ("main", "wide")


@contextlib.contextmanager
def fleet(count: int, *, port: int = 0) -> Iterator[list[RunningServer]]:
    """Run servers within this process."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                running_server(ServerConfig(index=i, count=count, bind=f"127.0.0.1:{port}"), NoProgress())
            )
            for i in range(count)
        ]


@pytest.fixture(scope="module")
def one():
    with fleet(1) as servers:
        yield servers


@pytest.fixture(scope="module")
def three():
    with fleet(3) as servers:
        yield servers


@dataclass
class Training:
    """A run on servers, as all of its ranks see it."""

    servers: list[RunningServer]
    run: Path
    embedding: EmbeddingConfig
    stores: list[RemoteStore]
    settings: ClientConfig
    ahead: dict[tuple[str, int, int], Ticket] = field(default_factory=dict)
    """Tickets by table, rank and step."""

    @classmethod
    def begin(
        cls,
        servers: list[RunningServer],
        run: Path,
        config: EmbeddingConfig | None = None,
        *,
        ranks: int,
        **client: Any,
    ) -> "Training":
        addresses = ",".join(server.address for server in servers)
        settings = ClientConfig(**{"servers": addresses, "server_timeout_s": 30.0, **client})
        training = cls(servers, run, config or embedding(), [], settings)
        training.open(next_generation(settings), ranks=ranks)
        return training

    def open(self, generation: int, *, ranks: int, opening: str = "open", first_step: int = 0) -> None:
        for rank in range(ranks):
            how = "join" if opening == "resume" and rank else opening
            self.stores.append(self.store(generation, rank, ranks, opening=how, first_step=first_step))

    def store(self, generation: int, rank: int, ranks: int, **how: Any) -> RemoteStore:
        identity = RunIdentity(location=str(self.run), generation=generation, rank=rank, world_size=ranks)
        tables = RunTables(
            names=TABLES, embedding=self.embedding, seed=how.pop("seed", 1), keep_undo=how.pop("keep_undo", True)
        )
        return RemoteStore(self.settings, tables, identity, **how)

    def step(self, step: int) -> None:
        """Make one step on all ranks; gradients depend on what was pulled, so that a wrong pull shows.

        Each rank pulls ahead of the next step; what it has of a step that is redone comes from an older generation.
        """
        for table in TABLES:
            pushes = []
            for rank, store in enumerate(self.stores):
                ids, gradients = random_step(100 * step + rank)
                ticket = self.ahead.pop((table, rank, step), None) or store.prepare(table, ids)
                pushes.append((ids, gradients + store.pull(ticket, step=step)))
            for rank, (store, (ids, _)) in enumerate(zip(self.stores, pushes, strict=True)):
                following = store.prepare(table, random_step(100 * (step + 1) + rank)[0])
                store.pull_ahead(following, step=step, before=ids)
                self.ahead[table, rank, step + 1] = following
            for store, (ids, gradients) in zip(self.stores, pushes, strict=True):
                push(store, step, ids, gradients, table=table)

    def fence(self) -> int:
        """Begin a new generation, and leave the ranks of the old one behind; return it."""
        generation = next_generation(self.settings)
        self.states = fence_servers(self.settings, identity(self, generation))
        return generation

    def go_on(self, first_step: int, *, ranks: int) -> ResumeCost:
        """Lose all ranks, and go on with new ones."""
        generation = self.fence()
        self.close()
        self.open(generation, ranks=ranks, opening="resume", first_step=first_step)
        return self.stores[0].resume_cost

    def rows(self, step: int) -> dict[str, dict[int, bytes]]:
        folder, files = saved(self.stores[0], self.run, step)
        return {table: rows_of(folder, files, table) for table in TABLES} | {
            "candidates": {i: repr((file.rows, file.crc32c)).encode() for i, file in enumerate(files)}
        }

    def close(self, *, run: bool = False) -> None:
        if run:
            self.stores[0].close_run()
        for store in self.stores:
            store.close()
        self.stores = []


def identity(training: Training, generation: int) -> RunIdentity:
    return RunIdentity(location=str(training.run), generation=generation, rank=0, world_size=1)


@pytest.fixture
def begin(tmp_path) -> Iterator[Callable[..., Training]]:
    """Begin runs, and close them at the end."""
    begun: list[Training] = []

    def new(servers: list[RunningServer], *args: Any, **settings: Any) -> Training:
        begun.append(Training.begin(servers, tmp_path / str(len(begun)), *args, **settings))
        return begun[-1]

    yield new
    for training in begun:
        for server in training.servers:
            with server.service._lifecycle._lock:  # whatever a test has left open
                server.service._lifecycle._run = None
        training.close()


def push(store: RemoteStore, step: int, ids: Any = None, gradients: Any = None, *, table: str = "main") -> None:
    """Push ones to three ids, unless told others."""
    ids = np.array([3, 4, 5]) if ids is None else ids
    gradients = np.ones((len(ids), DIM), np.float32) if gradients is None else gradients
    store.push(store.prepare(table, ids, np.ones(len(ids), np.int64)), gradients, impressions=2, step=step)


def only_to(store: RemoteStore, servers: Sequence[int]) -> None:
    """Have what a rank pushes next reach only these servers: it dies on the way."""
    all_servers = list(enumerate(store._servers))
    store._servers.call = lambda call: [call(*all_servers[index]) for index in servers]  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("optimizer", "admit_after", "servers"),
    [
        ("sgd", 1, "three"),
        ("adagrad", 3, "one"),
        ("adam", 3, "three"),
        # tests/unit/embedding/test_undo.py undoes steps of all of them
        *(pytest.param(each, 1, "three", marks=pytest.mark.slow) for each in OPTIMIZERS if each != "sgd"),
    ],
)
def test_a_step_that_some_servers_have_applied_is_undone_and_redone_as_if_nothing_had_happened(
    optimizer, admit_after, servers, begin, request
):
    servers = request.getfixturevalue(servers)
    config = embedding(optimizer, admit_after=admit_after)
    undisturbed = begin(servers, config, ranks=2)
    for step in range(1, 7):
        undisturbed.step(step)
    expected = undisturbed.rows(6)
    assert expected["main"]
    undisturbed.close(run=True)

    training = begin(servers, config, ranks=2)
    for step in range(1, 4):
        training.step(step)
    for store, reached in zip(training.stores, (range(len(servers)), range(1)), strict=True):
        only_to(store, reached)  # rank 1 dies after its push has reached server 0
        push(store, 4, *random_step(77))
    assert training.go_on(3, ranks=2) == ResumeCost(undone_steps=1)
    assert [state.steps["main"] for state in training.states] == [4, 3, 3][: len(servers)]
    assert [state.undoable["main"] for state in training.states] == [4, 3, 3][: len(servers)]
    assert {state.steps["wide"] for state in training.states} == {3}
    for step in range(4, 7):
        training.step(step)
    assert training.rows(6) == expected


def test_a_run_goes_on_with_two_ranks_of_three_and_then_with_three_again(three, begin):
    """SGD at rate 1 and whole numbers: a row is minus the sum of its gradients, exactly, whoever sent them."""
    training = begin(three, embedding("sgd", embedding_learning_rate=1.0, start_scale=0.0), ranks=3)
    total, ids = 0.0, np.arange(40)
    for ranks, steps in ((3, range(1, 4)), (2, range(4, 7)), (3, range(7, 9))):
        if ranks != len(training.stores):
            only_to(training.stores[0], range(3))
            push(training.stores[0], steps.start, ids)  # the others are lost in this step
            assert training.go_on(steps.start - 1, ranks=ranks) == ResumeCost()
        assert len(training.stores) == ranks
        for step in steps:
            for rank, store in enumerate(training.stores):
                gradients = np.full((len(ids), DIM), 2.0 * (step + rank), np.float32)
                for table in TABLES:
                    push(store, step, ids, gradients, table=table)
                total += step + rank  # 2 (step + rank) over 2 impressions
        np.testing.assert_array_equal(pulled_rows(training.stores[0], "main", ids, step=steps.stop), -total)


def test_who_is_left_behind_can_neither_read_nor_change_nor_save_rows(one, begin):
    training = begin(one, embedding(evict_every_steps=1, ttl_steps=1, max_rows=1), ranks=2)
    training.step(1)
    behind = training.stores[1]
    calls: list[Callable[[], Any]] = [
        lambda: pulled_rows(behind, "main", np.array([1])),
        lambda: push(behind, 2),
        lambda: saved(behind, training.run, 1),
        lambda: behind.evict(step=1),
        behind.close_run,
    ]
    generation = training.fence()
    for call in calls:
        with pytest.raises(GenerationOverError, match=r"went on without this process"):
            call()
    training.stores = [behind]
    training.open(generation, ranks=1, opening="resume", first_step=1)
    for call in calls:
        with pytest.raises(GenerationOverError, match=r"server 0/1 .* is at generation \d+, and the call is of"):
            call()
    for opening in ("open", "resume", "join"):
        with pytest.raises(GenerationOverError, match="is over"):
            training.store(generation - 1, 1, 2, opening=opening, first_step=0)
    push(training.stores[1], 2)


def test_a_fence_wakes_a_pull_that_waits_within_a_second(three, begin, monkeypatch):
    monkeypatch.setattr(row_pulls, "_PATIENCE_S", 20.0)  # it is woken, and does not come back by itself
    training = begin(three, ranks=2)
    push(training.stores[0], 1)
    ended = waiting(lambda: pulled_rows(training.stores[0], "main", np.arange(30), step=2))
    assert_still_waits(ended)
    start = time.monotonic()
    training.fence()
    assert isinstance(ended.wait(), GenerationOverError)
    assert time.monotonic() - start < 1.0


def test_a_push_whose_body_is_still_on_its_way_at_the_fence_is_refused(one, begin):
    training = begin(one, ranks=1)
    (store,), service = training.stores, one[0].service
    header = headers.PushHeader(
        run=store._run.name, generation=store._run.generation, table="main", rows=1, wire="float32", step=1, rank=0,
        impressions=1, rate_factor=1.0,
    )  # fmt: skip
    batch = encode_push(np.array([1]), np.ones((1, DIM), np.float32), None, "float32")
    client = flight.FlightClient(f"grpc://{one[0].address}")
    before = service._lifecycle._last_call
    descriptor = flight.FlightDescriptor.for_command(headers.encode_header(header))
    writer, reader = client.do_put(descriptor, batch.schema, flight.FlightCallOptions(timeout=20))
    until(lambda: service._lifecycle._last_call != before)  # the server has let the call in, and reads
    training.fence()

    def finish() -> None:
        try:
            writer.write_batch(batch)
            writer.done_writing()
            reader.read()
        finally:
            writer.close()

    with pytest.raises(flight.FlightError, match="the run went on as generation"):
        finish()
    client.close()
    assert training.stores[0].num_rows("main") == 0


def test_going_on_again_because_the_answer_was_lost_answers_the_same_and_changes_nothing(one, begin):
    training = begin(one, ranks=1)
    push(training.stores[0], 1)
    push(training.stores[0], 1, table="wide")
    push(training.stores[0], 2)
    assert training.go_on(1, ranks=1) == ResumeCost(undone_steps=1)
    push(training.stores[0], 2)
    push(training.stores[0], 2, table="wide")
    rows = training.rows(2)
    generation = training.stores[0]._run.generation
    again = training.store(generation, 0, 1, opening="resume", first_step=1)
    assert again.resume_cost == ResumeCost(undone_steps=1)
    again.close()
    assert training.rows(2) == rows
    (stats,) = server_stats(training.settings)
    assert (stats.undone_steps, stats.lost_steps, stats.repeated_steps) == (1, 0, 0)


@pytest.mark.parametrize(
    ("mode", "to_step", "expected"),
    [
        ("bounded", 3, ResumeCost(lost_steps=2)),  # rank 0 pushed up to 4, rank 1 up to 1: 2 and 3 were never applied
        ("async", 4, ResumeCost(lost_steps=3)),  # 2, 3, 4 of rank 1
        ("async", 3, ResumeCost(lost_steps=2, repeated_steps=1)),  # and 4 of rank 0 comes again
    ],
)
def test_what_bounded_and_async_lose_is_counted(one, begin, mode, to_step, expected):
    training = begin(one, ranks=2, update_mode=mode, max_staleness_steps=4)
    for step in (1, 2, 3, 4):
        for table in TABLES:
            push(training.stores[0], step, table=table)
    for table in TABLES:
        push(training.stores[1], 1, table=table)
    assert training.go_on(to_step, ranks=2) == expected
    push(training.stores[0], to_step + 1)
    assert training.go_on(to_step, ranks=1).lost_steps == 0
    (stats,) = server_stats(training.settings)
    assert stats.lost_steps == expected.lost_steps


def test_a_server_that_was_started_again_has_lost_the_run_and_says_so(begin):
    with fleet(1) as servers:
        training = begin(servers, ranks=1)
        training.step(1)
        host_port = servers[0].address
    with fleet(1, port=int(host_port.rpartition(":")[2])) as servers:
        training.servers = servers
        start = time.monotonic()
        for call in (
            lambda: pulled_rows(training.stores[0], "main", np.array([1]), step=2),
            lambda: push(training.stores[0], 2),
        ):
            with pytest.raises(ServerLostError, match="server 0/1 .* is not open here, no run is"):
                call()
        generation = training.fence()
        assert not training.states[0].open
        for opening in ("resume", "join"):
            with pytest.raises(ServerLostError, match="is not open here"):
                training.store(generation, 0, 1, opening=opening, first_step=1)
        assert time.monotonic() - start < 10  # nothing of it was repeated until the timeout
        training.close()
        training.open(generation, ranks=1)  # a fence that nothing went on from may be opened
        training.step(1)


def test_a_server_that_stops_tells_those_who_wait(begin, monkeypatch):
    monkeypatch.setattr(row_pulls, "_PATIENCE_S", 20.0)
    with fleet(1) as servers:
        training = begin(servers, ranks=2)
        push(training.stores[0], 1)
        ended = waiting(lambda: pulled_rows(training.stores[0], "main", np.array([1]), step=2))
        assert_still_waits(ended)
        servers[0].service.close()
        assert "the server stopped, during this call" in str(ended.wait())


def test_rows_that_were_not_restored_to_their_end_are_nothing_to_go_on_with(one, begin):
    training = begin(one, ranks=1)
    training.step(1)
    folder, files = saved(training.stores[0], training.run, 1)
    path = folder.local_path / files[1].path
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CheckpointError):
        training.stores[0].restore(folder, files, step=1)
    generation = training.fence()
    assert (training.states[0].open, training.states[0].steps) == (False, {})
    with pytest.raises(ServerLostError, match="were never fully restored here"):
        training.store(generation, 0, 1, opening="resume", first_step=1)


def test_a_save_that_a_fence_overtakes_is_refused_so_that_no_checkpoint_comes_of_it(one, begin):
    training = begin(one, ranks=1)
    training.step(1)
    run, generation = one[0].service._lifecycle.run, training.stores[0]._run.generation
    write = run._store.save

    def write_slowly(folder: Any, *, step: int) -> Any:
        files = write(folder, step=step)
        run.fence(generation + 1)
        return files

    run._store.save = write_slowly
    with pytest.raises(GenerationOverError, match=f"the run went on as generation {generation + 1}"):
        saved(training.stores[0], training.run, 1)


def test_a_step_that_cannot_be_reached_is_refused_and_changes_nothing(one, begin):
    training = begin(one, ranks=1)
    for step in (1, 2, 3):
        training.step(step)
    generation = training.fence()
    for wrong in (1, 4):
        with pytest.raises(ServerError, match=f"resume after step {wrong}, but step 3 was applied last and step 3 can"):
            training.store(generation, 0, 1, opening="resume", first_step=wrong)
    with pytest.raises(ServerError, match="was opened with another seed than it is to resume with: 1, not 2"):
        training.store(generation, 0, 1, opening="resume", first_step=3, seed=2)
    training.close()
    training.open(generation, ranks=2, opening="resume", first_step=3)
    assert training.stores[0].resume_cost == ResumeCost()
    training.step(4)


def test_going_on_and_joining_come_in_their_order(one, begin):
    training = begin(one, ranks=1)
    training.step(1)
    first = training.stores[0]._run.generation
    with pytest.raises(ServerError, match=f"cannot resume as generation {first + 1} before a fence has ended"):
        training.store(first + 1, 0, 1, opening="resume", first_step=1)
    generation = training.fence()
    with pytest.raises(ServerLostError, match=f"is open here as generation {first}, not as {generation}"):
        training.store(generation, 1, 2, opening="join", first_step=1)
    early = training.stores[0]
    early._pulls._run = identity(training, generation)
    with pytest.raises(ServerError, match="with which the run has not resumed yet"):
        pulled_rows(early, "main", np.array([1]))
    training.close()
    training.open(generation, ranks=2, opening="resume", first_step=1)
    with pytest.raises(ServerError, match="with other settings by another rank"):
        training.store(generation, 1, 3, opening="join", first_step=1)


def test_a_generation_begins_once_and_a_repeated_fence_answers_the_same(one, begin):
    training = begin(one, ranks=1)
    training.step(1)
    generation = training.fence()
    assert fence_servers(training.settings, identity(training, generation)) == training.states
    training.close()
    training.open(generation, ranks=1, opening="resume", first_step=1)
    for late in (generation, generation - 1):
        with pytest.raises(GenerationOverError, match=f"generation {late} of run .* cannot begin"):
            fence_servers(training.settings, identity(training, late))
    training.step(2)


def test_a_run_that_another_uses_is_not_fenced(one, begin, tmp_path):
    training = begin(one, ranks=1)
    other = RunIdentity(location=str(tmp_path / "other"), generation=10_000, rank=0, world_size=1)
    with pytest.raises(ServerError, match="the server is in use by run"):
        fence_servers(training.settings, other)
    training.step(1)


def test_without_servers_there_is_nothing_to_fence(tmp_path):
    run = RunIdentity(location=str(tmp_path), generation=1, rank=0, world_size=1)
    with pytest.raises(ConfigError, match="servers is 'embedded'. Give --servers"):
        fence_servers(ConnectionConfig(), run)


def test_an_interrupt_ends_a_pull_that_waits_and_every_call_after_it(three, begin):
    training = begin(three, ranks=2)
    push(training.stores[0], 1)
    ended = waiting(lambda: pulled_rows(training.stores[0], "main", np.arange(30), step=2))
    assert_still_waits(ended)
    start = time.monotonic()
    training.stores[0].interrupt()
    assert isinstance(ended.wait(), WorkerLostError)
    assert time.monotonic() - start < 2.0
    with pytest.raises(WorkerLostError, match="interrupted"):
        push(training.stores[0], 2)


def test_the_first_servers_error_is_raised_before_the_others_have_answered(three, begin):
    training = begin(three, ranks=2)
    gone = three[2].service._lifecycle
    push(training.stores[0], 1)
    ended = waiting(lambda: pulled_rows(training.stores[0], "main", np.arange(30), step=2))
    assert_still_waits(ended)
    start = time.monotonic()
    with gone._lock:
        run, gone._run = gone._run, None
    assert isinstance(ended.wait(), ServerLostError)  # with the next try, while two servers still wait for rank 1
    assert time.monotonic() - start < 5.0
    gone._run = run


class Ended:
    """How a call in a thread ends."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._error: EsmmError | None = None
        self.thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self.thread.start()

    def _run(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except EsmmError as e:
            self._error = e

    def wait(self) -> EsmmError | None:
        self.thread.join(20)
        assert not self.thread.is_alive()
        return self._error


def waiting(call: Callable[[], Any]) -> Ended:
    return Ended(call)


def assert_still_waits(ended: Ended) -> None:
    ended.thread.join(0.4)
    assert ended.thread.is_alive()


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)
