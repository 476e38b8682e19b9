"""Steps through proxies that break the network end with the rows of an undisturbed run, to the last bit."""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from esmm_dist.errors import RetryError, WorkerLostError
from esmm_dist.parameter_server import headers
from esmm_dist.parameter_server.config import ConnectionConfig, ServerConfig
from esmm_dist.parameter_server.connection import Connection
from esmm_dist.parameter_server.process import running_server
from esmm_dist.parameter_server.read_stats import server_stats
from esmm_dist.parameter_server.remote_store import RemoteStore
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from tests.parallel.store_clients import (
    DIM,
    embedded,
    embedding,
    open_stores,
    pulled_rows,
    random_step,
    rows_of,
    saved,
    train,
)
from tests.support.certificates import Authority
from tests.support.fault_proxy import Direction, FaultProxy, fault_proxies
from tests.support.s3_server import S3Server
from tests.support.server_processes import ServerProcesses

pytestmark = pytest.mark.timeout(60)

STEPS = range(1, 13)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    store = embedded(embedding())
    train(store, STEPS)
    return rows_of(*saved(store, tmp_path_factory.mktemp("undisturbed"), STEPS[-1]))


@pytest.fixture
def proxies(two_servers):
    with fault_proxies(two_servers.addresses) as proxies:
        yield proxies


@contextlib.contextmanager
def store_through(proxies: list[FaultProxy], run: Path, timeout_s: float = 6.0) -> Iterator[RemoteStore]:
    servers = ",".join(proxy.address for proxy in proxies)
    with open_stores(servers, embedding(), run, server_timeout_s=timeout_s) as (store,):
        yield store
        for proxy in proxies:
            proxy.heal()  # for closing the run


def disturbed(proxies: list[FaultProxy], run: Path, disturb: Callable[[int], None], timeout_s: float = 6.0) -> dict:
    with store_through(proxies, run, timeout_s) as store:
        for step in STEPS:
            disturb(step)
            train(store, range(step, step + 1))
        for proxy in proxies:
            proxy.heal()
        return rows_of(*saved(store, run, STEPS[-1]))


@contextlib.contextmanager
def later(seconds: float, do: Callable[[], object]) -> Iterator[None]:
    timer = threading.Timer(seconds, do)
    timer.start()
    yield
    timer.join()


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("seed", [1, 2])
def test_connections_reset_at_random_bytes_change_nothing(proxies, tmp_path, expected, direction, seed):
    draw = random.Random(seed)

    def disturb(step: int) -> None:
        for proxy in proxies:
            proxy.reset_after(draw.randrange(1, 3000), direction)  # a step sends a server 3 KB, and gets 2 KB back

    assert disturbed(proxies, tmp_path, disturb) == expected
    assert sum(proxy.resets for proxy in proxies) >= 6


@contextlib.contextmanager
def answer_lost(proxy: FaultProxy, servers: ConnectionConfig, step: int) -> Iterator[None]:
    """Lose what is answered until the step is applied, then the connection too."""

    def reset_when_applied() -> None:
        while server_stats(servers)[0].step < step:
            time.sleep(0.002)
        proxy.reset()

    proxy.lose_answers()
    with later(0.0, reset_when_applied):
        yield


def test_a_push_whose_acknowledgement_is_lost_is_applied_once(one_server, tmp_path, expected):
    servers = ConnectionConfig(servers=one_server.servers)
    with fault_proxies(one_server.addresses) as (proxy,), store_through([proxy], tmp_path) as store:
        for step in STEPS:
            ids, gradients = random_step(step)
            gradients += pulled_rows(store, "main", ids, step=step)
            with answer_lost(proxy, servers, step) if step % 2 == 0 else contextlib.nullcontext():
                store.push(
                    store.prepare("main", ids), gradients, impressions=7, step=step, rate_factor=1 / (1 + step / 100)
                )
        assert server_stats(servers)[0].repeated_pushes == len(STEPS) / 2
        assert rows_of(*saved(store, tmp_path, STEPS[-1])) == expected


def test_a_delay_costs_time_only(proxies, tmp_path, expected):
    def disturb(step: int) -> None:
        for proxy in proxies:
            proxy.heal()
            if step in (2, 7):
                proxy.delay(0.15)

    assert disturbed(proxies, tmp_path, disturb, timeout_s=30.0) == expected


def test_a_far_server_is_reached_by_the_first_attempt(one_server):
    with fault_proxies(one_server.addresses) as (proxy,):
        proxy.delay(0.4)
        server_stats(ConnectionConfig(servers=proxy.address, server_timeout_s=40.0))
        assert proxy.accepted == 1


@pytest.mark.parametrize("fault", ["black_hole", "refuse"])
def test_a_server_that_is_out_of_reach_for_a_while_is_waited_for(proxies, tmp_path, expected, fault):
    with contextlib.ExitStack() as stack:

        def disturb(step: int) -> None:
            if step in (4, 9):
                getattr(proxies[step % 2], fault)()
                if fault == "refuse":
                    proxies[step % 2].reset()
                stack.enter_context(later(0.5, proxies[step % 2].heal))

        assert disturbed(proxies, tmp_path, disturb, timeout_s=4.0) == expected


def test_a_half_open_connection_is_left_after_a_part_of_the_timeout(proxies, tmp_path, expected):
    waits = []
    with store_through(proxies, tmp_path, timeout_s=4.0) as store:
        accepted = proxies[1].accepted
        for step in STEPS:
            if step in (3, 8):
                proxies[1].half_open()
            start = time.monotonic()
            train(store, range(step, step + 1))
            waits.append(time.monotonic() - start)
        assert rows_of(*saved(store, tmp_path, STEPS[-1])) == expected
    assert proxies[1].accepted == accepted + 2
    assert 0.5 <= max(waits) < 4.0  # an eighth of the timeout, and not all of it


def test_a_black_hole_without_end_is_given_up_and_named(proxies, tmp_path):
    with store_through(proxies, tmp_path, timeout_s=2.0) as store:
        proxies[1].black_hole()
        accepted = proxies[1].accepted
        start = time.monotonic()
        with pytest.raises(RetryError, match=rf"server 1/2 \({proxies[1].address}\): .*Tried for 2 s"):
            train(store, range(1, 2))
        assert time.monotonic() - start < 3.0
        assert proxies[1].accepted >= accepted + 2  # a fresh connection for each try after the first


def test_resets_within_the_tls_handshake_are_no_refusal(tmp_path):
    pair = Authority(tmp_path).sign("server")
    settings = ServerConfig(index=0, count=1, tls_cert=pair.cert, tls_key=pair.key)
    with running_server(settings, NoProgress()) as server, fault_proxies([server.address]) as (proxy,):
        config = ConnectionConfig(servers=proxy.address, tls_ca=tmp_path / "ca.pem", server_timeout_s=4.0)
        last_bytes: dict[Direction, int] = {"up": 900, "down": 1500}
        for direction, last in last_bytes.items():
            for num_bytes in range(1, last, 200):
                proxy.heal()
                proxy.reset_after(num_bytes, direction)
                server_stats(config)
        assert proxy.resets >= 12


def test_an_interrupted_call_ends_its_pause_and_begins_no_try(one_server):
    with fault_proxies(one_server.addresses) as (proxy,):
        interrupted = threading.Event()
        connection = Connection(ConnectionConfig(servers=proxy.address, server_timeout_s=60.0), 0, interrupted)
        connection.act("stats")
        proxy.refuse()
        proxy.reset()
        set_at: list[float] = []

        def interrupt() -> None:
            set_at.append(time.monotonic())
            interrupted.set()

        with later(3.0, interrupt), pytest.raises(WorkerLostError, match="interrupted: another rank ended"):
            connection.act("stats")  # pauses have grown to a second or two by then
        assert time.monotonic() - set_at[0] < 0.3
        proxy.heal()
        accepted = proxy.accepted
        with pytest.raises(WorkerLostError, match=r"server 0/1 .*interrupted"):
            connection.act("stats")
        assert proxy.accepted == accepted
        connection.close()


@pytest.fixture(scope="module")
def slow_checkpoint(tmp_path_factory):
    """Rows in an object store whose every piece comes late."""
    store = embedded(embedding())
    train(store, STEPS)
    with S3Server() as s3, FaultProxy(s3.address) as proxy:
        s3.make_bucket("bucket")
        _, files = saved(store, s3.uri("bucket/run"), STEPS[-1])
        proxy.delay(0.7)
        run = s3.uri("bucket/run").replace(quote(s3.address, safe=""), quote(proxy.address, safe=""))
        yield Folder.open(run) / "checkpoints" / f"step-{STEPS[-1]:08d}", files


def restored(servers: ServerProcesses) -> int:
    return servers.logs[0].read_text().count("Restored")


@pytest.mark.parametrize("fault", ["none", "reset", "black_hole", "half_open"])
def test_a_restore_longer_than_the_timeout_is_done_once(one_server, slow_checkpoint, tmp_path, expected, fault):
    before = restored(one_server)
    with (
        fault_proxies(one_server.addresses) as (proxy,),
        store_through([proxy], tmp_path, timeout_s=1.6) as store,
        later(0.5, lambda: fault == "none" or getattr(proxy, fault)()),
        later(1.0, proxy.heal),
    ):
        start = time.monotonic()
        store.restore(*slow_checkpoint, step=STEPS[-1])
        assert time.monotonic() - start > 1.6
        assert restored(one_server) == before + 1
        assert rows_of(*saved(store, tmp_path, STEPS[-1])) == expected


def test_a_restore_whose_server_is_gone_is_given_up_after_the_timeout(one_server, slow_checkpoint, tmp_path):
    with fault_proxies(one_server.addresses) as (proxy,), store_through([proxy], tmp_path, timeout_s=0.8) as store:
        start = time.monotonic()
        with later(0.2, proxy.black_hole), pytest.raises(RetryError, match="Tried for 1 s"):
            store.restore(*slow_checkpoint, step=STEPS[-1])
        assert time.monotonic() - start < 4  # the restore takes longer
        proxy.heal()
        # The restore is still running on the server: nobody may begin anew beside it
        again = open_stores(one_server.servers, embedding(), tmp_path, close_run=False, server_timeout_s=0.5)
        with pytest.raises(RetryError, match="a restore whose client is gone is still running"), again:
            pass
    # The next test has the same server: it waits for the restore, not for a time that a busy machine does not keep
    with open_stores(one_server.servers, embedding(), tmp_path, server_timeout_s=60.0):
        pass


def test_an_eviction_whose_reply_is_lost_is_done_once_and_says_how_many(one_server, tmp_path):
    """50 rows of step 1; rows pushed later stay, though the same eviction comes once more."""
    ids = np.arange(50)
    rule = {"older_than_step": 2, "min_count": 0, "min_count_before_step": 0, "tie_step": 0, "tie_hash_up_to": 0}
    with fault_proxies(one_server.addresses) as (proxy,), store_through([proxy], tmp_path) as store:
        store.push(store.prepare("main", ids), np.ones((50, DIM), np.float32), impressions=1, step=1)
        header = headers.EvictHeader(run=store._run.name, generation=store._run.generation, table="main", rule=rule)
        proxy.reset_after(10, "down")
        assert next(iter(store._servers)).act_json("evict", header) == {"removed": 50}
        assert proxy.resets == 1
        assert next(iter(store._servers)).act_json("evict", replace(header)) == {"removed": 0}  # another call


def test_closing_a_run_again_is_no_error(one_server, tmp_path):
    with open_stores(one_server.servers, embedding(), tmp_path) as (store,):
        store.close_run()
        store.close_run()
