"""Rows on real server processes are those of the embedded store, whatever the number of servers."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.run_tables import RunTables
from esmm_dist.embedding.table import row_bytes
from esmm_dist.embedding.table_files import TableFile
from esmm_dist.errors import (
    CheckpointError,
    CheckpointMismatchError,
    GenerationOverError,
    RetryError,
    ServerError,
    StorageError,
)
from esmm_dist.parameter_server.config import ClientConfig, ConnectionConfig
from esmm_dist.parameter_server.read_stats import server_stats
from esmm_dist.parameter_server.remote_shard import RemoteShard
from esmm_dist.parameter_server.remote_store import RemoteStore
from esmm_dist.storage.folder import Folder
from tests.parallel.store_clients import (
    DIM,
    OPTIMIZERS,
    embedded,
    embedding,
    open_stores,
    pulled_rows,
    random_step,
    rows_of,
    saved,
    train,
)
from tests.support.s3_server import S3Server
from tests.support.server_processes import server_processes

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_embedded_is_one_server_is_three_servers_to_the_last_bit(optimizer, one_server, three_servers, tmp_path):
    config = embedding(optimizer)
    reference = embedded(config)
    train(reference, range(1, 201))
    expected = rows_of(*saved(reference, tmp_path / "embedded", 200))
    assert len(expected) == 600
    for servers in (one_server, three_servers):
        run = tmp_path / str(len(servers.addresses))
        with open_stores(servers.servers, config, run) as (store,):
            train(store, range(1, 201))
            assert store.num_rows("main") == len(expected)
            assert rows_of(*saved(store, run, 200)) == expected


def test_two_ranks_that_push_the_same_id_at_the_same_step_both_count(two_servers, tmp_path):
    """SGD at rate 0.5, 4 impressions: row - 0.5 · (g0 + g1) / 4, by hand."""
    config = embedding("sgd", embedding_learning_rate=0.5, start_scale=0.0)
    ids = np.array([3, 4, 5])
    with open_stores(two_servers.servers, config, tmp_path, world_size=2) as stores:
        for rank, store in reversed(list(enumerate(stores))):
            gradients = np.full((2, DIM), 8.0 * (rank + 1), dtype=np.float32)
            store.push(
                store.prepare("main", ids[rank : rank + 2]), gradients, impressions=4, step=1
            )  # ids 3 4, and 4 5
        rows = pulled_rows(stores[0], "main", ids, step=2)
    np.testing.assert_array_equal(rows[:, 0], [-1.0, -3.0, -2.0])  # 8/4 · 0.5, (8 + 16)/4 · 0.5, 16/4 · 0.5


def test_the_sum_of_ranks_does_not_depend_on_who_comes_first(one_server, tmp_path):
    config, results = embedding("adagrad"), []
    for order in ((0, 1, 2), (2, 0, 1)):
        with open_stores(one_server.servers, config, tmp_path, world_size=3) as stores:
            for step in range(1, 6):
                for rank in order:
                    ids, gradients = random_step(100 * step + rank)
                    stores[rank].push(
                        stores[rank].prepare("main", ids), gradients * 1e3**rank, impressions=3, step=step
                    )
            folder = tmp_path / str(order[0])
            results.append(pulled_rows(stores[0], "main", np.arange(-300, 300), step=6).tobytes())
            assert not folder.exists()
    assert results[0] == results[1]


def test_a_pull_of_the_next_step_waits_for_the_push_of_every_rank(one_server, tmp_path):
    config = embedding("sgd", start_scale=0.0)
    ids, ones, pulled = np.array([1]), np.ones((1, DIM), np.float32), []
    with open_stores(one_server.servers, config, tmp_path, world_size=2) as stores:
        stores[0].push(stores[0].prepare("main", ids), ones, impressions=1, step=1)
        waiting = threading.Thread(target=lambda: pulled.append(pulled_rows(stores[0], "main", ids, step=2)))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        assert not pulled_rows(stores[0], "main", ids, step=1).any()  # step 1's rows are there, and unchanged
        stores[1].push(stores[1].prepare("main", ids), ones, impressions=1, step=1)
        waiting.join(20)
    np.testing.assert_allclose(pulled[0], -0.1, rtol=1e-6)


def test_bounded_reads_rows_that_are_at_most_so_many_steps_old(one_server, tmp_path):
    config = embedding("sgd", start_scale=0.0)
    ids, ones = np.array([1]), np.ones((1, DIM), np.float32)
    bounded: dict[str, Any] = {"update_mode": "bounded", "max_staleness_steps": 2, "server_timeout_s": 4.0}
    with open_stores(one_server.servers, config, tmp_path, world_size=2, **bounded) as stores:
        for step in (1, 2):
            assert not pulled_rows(stores[0], "main", ids, step=step).any()
            stores[0].push(stores[0].prepare("main", ids), ones, impressions=1, step=step)
        assert not pulled_rows(stores[0], "main", ids, step=3).any()
        with pytest.raises(RetryError, match="a pull for step 4 waits for step 1, which not every rank has pushed"):
            pulled_rows(stores[0], "main", ids, step=4)
        stores[1].push(stores[1].prepare("main", ids), ones, impressions=1, step=1)
        np.testing.assert_allclose(pulled_rows(stores[0], "main", ids, step=4), -0.1, rtol=1e-6)


def test_a_repeated_push_is_dropped_and_counted(one_server, tmp_path):
    config = embedding("sgd", start_scale=0.0)
    ids, ones = np.array([1]), np.ones((1, DIM), np.float32)
    with open_stores(one_server.servers, config, tmp_path) as (store,):
        for _ in range(3):
            store.push(store.prepare("main", ids), ones, impressions=1, step=1)
        np.testing.assert_allclose(pulled_rows(store, "main", ids), -0.05, rtol=1e-6)
        (stats,) = server_stats(ConnectionConfig(servers=one_server.servers))
        assert (stats.repeated_pushes, stats.step, stats.rows) == (2, 1, 1)
        assert stats.row_bytes == row_bytes(config, "main")


def test_a_rank_without_data_calls_no_server_and_nobody_waits_for_it(two_servers, tmp_path):
    config, ids, ones = embedding("sgd", start_scale=0.0), np.array([1, 2]), np.ones((2, DIM), np.float32)
    with open_stores(two_servers.servers, config, tmp_path, world_size=2) as stores:
        opened = stores[0]._run
        idle = RemoteStore(stores[0]._config, stores[0]._tables, replace(opened, rank=2))
        for store in stores:
            store.push(store.prepare("main", ids), ones, impressions=4, step=1)
        before = [stats.pulls.calls + stats.pushes.calls for stats in server_stats(stores[0]._config)]
        ticket = idle.prepare("main", ids[:0])
        assert idle.pull(ticket, step=2).shape == (0, DIM)
        idle.push(ticket, ones[:0], impressions=4, step=2)
        assert [stats.pulls.calls + stats.pushes.calls for stats in server_stats(stores[0]._config)] == before
        with pytest.raises(ValueError, match="rank 2 pushes, but the run has 2 ranks that do"):
            idle.push(idle.prepare("main", ids), ones, impressions=4, step=2)
        idle.close()
        np.testing.assert_allclose(pulled_rows(stores[0], "main", ids, step=2), -0.025, rtol=1e-6)  # 0.05 · (1 + 1) / 4


def test_all_servers_evict_at_once(two_servers, tmp_path, monkeypatch):
    config, both = embedding("sgd", evict_every_steps=1, ttl_steps=1), threading.Barrier(2)
    remove = RemoteShard.remove

    def together(self, rule):
        both.wait(20)  # broken if one server waits for the other
        return remove(self, rule)

    monkeypatch.setattr(RemoteShard, "remove", together)
    with open_stores(two_servers.servers, config, tmp_path) as (store,):
        train(store, range(1, 3))
        rows = store.num_rows("main")
        removed = store.evict(step=2)["main"]
        assert 0 < removed == rows - store.num_rows("main")


@pytest.mark.parametrize("pushes", [1000, pytest.param(2500, marks=pytest.mark.slow)])
def test_in_async_no_update_of_four_hammering_processes_is_lost(one_server, tmp_path, pushes):
    """SGD at rate 1: the movement of a row is minus the sum of its gradients, small whole numbers, exact in float32."""
    config = embedding("sgd", embedding_learning_rate=1.0, start_scale=0.0)
    with open_stores(one_server.servers, config, tmp_path, world_size=4, update_mode="async") as stores:
        opened = stores[0]._run
        line = [
            sys.executable,
            "-m",
            "tests.parallel.hammer",
            one_server.servers,
            str(tmp_path),
            str(opened.generation),
        ]
        processes = [
            subprocess.Popen(
                [*line, str(rank), str(pushes)], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True
            )
            for rank in range(4)
        ]
        sums = np.zeros(100)
        for process in processes:
            out, _ = process.communicate(timeout=200)
            assert process.returncode == 0
            sums += json.loads(out)
        rows = pulled_rows(stores[0], "main", np.arange(100))
        (stats,) = server_stats(ConnectionConfig(servers=one_server.servers))
    assert stats.step == pushes  # of each of the four
    np.testing.assert_array_equal(rows[:, 0], -sums)


@pytest.mark.parametrize(("wire", "relative"), [("bfloat16", 2.0**-8), ("float16", 2.0**-10)])
def test_rows_and_gradients_may_travel_in_16_bits(one_server, tmp_path, wire, relative):
    config = embedding("sgd", embedding_learning_rate=1.0, start_scale=1.0)
    ids, gradients = random_step(3)
    reference = embedded(config)
    reference.push(reference.prepare("main", ids), gradients, impressions=1, step=1)
    with open_stores(one_server.servers, config, tmp_path, wire=wire) as (store,):
        start = pulled_rows(store, "main", ids, step=1)
        store.push(store.prepare("main", ids), gradients, impressions=1, step=1)
        moved = pulled_rows(store, "main", ids, step=2)
        folder, files = saved(store, tmp_path, 1)
    exact = pulled_rows(embedded(config), "main", ids)
    np.testing.assert_allclose(start, exact, rtol=relative, atol=1e-7)
    assert (start != exact).any()
    # a gradient's rounding and the row's: relative to the larger of the two
    error = np.abs(moved - pulled_rows(reference, "main", ids))
    assert (error <= relative * (np.abs(gradients) + np.abs(exact) + 1)).all()
    assert len(rows_of(folder, files)) == len(ids)  # on the servers rows are float32 all the same


@pytest.fixture(scope="module")
def fleets(one_server, two_servers, three_servers):
    """Servers in fleets of 1, 2 and 3."""
    return {1: one_server, 2: two_servers, 3: three_servers}


@pytest.mark.parametrize("saving", [1, 2, 3])
def test_what_m_servers_saved_n_servers_restore(fleets, tmp_path, saving):
    config = embedding("adam", admit_after=3)

    def step_on(store, step):
        ids, gradients = random_step(step, ids=2000)
        store.push(store.prepare("main", ids, np.full(len(ids), 2)), gradients, impressions=5, step=step)

    with open_stores(fleets[saving].servers, config, tmp_path) as (store,):
        for step in range(1, 8):
            step_on(store, step)
        folder, files = saved(store, tmp_path, 7)
        step_on(store, 8)
        expected = rows_of(*saved(store, tmp_path, 8))
    assert {file.kind for file in files} == {"rows", "candidates"}
    results = {}
    for restoring in (1, 2, 3):
        run = tmp_path / f"run-{restoring}"
        with open_stores(fleets[restoring].servers, config, run) as (store,):
            store.restore(folder, files, step=7)
            step_on(store, 8)
            results[restoring] = rows_of(*saved(store, run, 8))
    back = embedded(config)
    back.restore(folder, files, step=7)
    step_on(back, 8)
    results[0] = rows_of(*saved(back, tmp_path / "embedded", 8))
    for found in results.values():
        assert found == expected


def test_an_eviction_over_three_servers_removes_what_one_table_would(three_servers, tmp_path):
    config = embedding("adagrad", evict_every_steps=5, ttl_steps=15, min_row_count=2, max_rows=400)
    reference = embedded(config)
    with open_stores(three_servers.servers, config, tmp_path) as (store,):
        for each in (reference, store):
            train(each, range(1, 21))
        removed = reference.evict(step=20)
        assert removed["main"] > 0
        assert store.evict(step=20) == removed
        for each in (reference, store):
            train(each, range(21, 26))
        assert rows_of(*saved(store, tmp_path, 25)) == rows_of(*saved(reference, tmp_path / "embedded", 25))


def test_candidates_age_out_on_three_servers_as_in_one_table(three_servers, tmp_path):
    config = embedding("adagrad", admit_after=4, evict_every_steps=5, ttl_steps=6)

    def step_on(store, step):
        ids, gradients = random_step(step, ids=2000)
        store.push(store.prepare("main", ids, np.ones(len(ids), np.int64)), gradients, impressions=5, step=step)

    def waiting(store, run):
        back = embedded(config)
        back.restore(*saved(store, run, 20), step=20)
        candidates = back.table("main").export_candidates(0, 4096)
        return [column.tolist() for column in (candidates.ids, candidates.impressions, candidates.last_step)]

    reference = embedded(config)
    with open_stores(three_servers.servers, config, tmp_path) as (store,):
        for step in range(1, 21):
            for each in (reference, store):
                step_on(each, step)
        before = waiting(reference, tmp_path / "before")
        assert store.evict(step=20) == reference.evict(step=20)
        left = waiting(reference, tmp_path / "embedded")
        assert set(left[2]) == set(range(15, 21)) < set(before[2])  # of the last six steps
        assert waiting(store, tmp_path) == left


def test_a_server_that_is_killed_is_named_and_given_up_after_the_timeout(tmp_path):
    with (
        server_processes(2) as servers,
        open_stores(servers.servers, embedding(), tmp_path, close_run=False, server_timeout_s=2.0) as (store,),
    ):
        train(store, range(1, 3))
        servers.processes[1].kill()
        servers.processes[1].wait()
        start = time.monotonic()
        with pytest.raises(RetryError, match=rf"server 1/2 \({servers.addresses[1]}\): .*Tried for 2 s"):
            train(store, range(3, 4))
        assert time.monotonic() - start < 30
        with pytest.raises(RetryError, match="server 1/2"):
            store.close_run()


def test_a_run_that_another_uses_is_protected_until_it_is_closed_or_idle(one_server, tmp_path):
    with open_stores(one_server.servers, embedding(), tmp_path / "a") as (first,):
        pulled_rows(first, "main", np.array([1]))
        with (
            pytest.raises(ServerError, match=r"the server is in use by run '.*/a' \(last call 0 s ago\)"),
            open_stores(one_server.servers, embedding(), tmp_path / "b"),
        ):
            pass
        pulled_rows(first, "main", np.array([1]))  # undisturbed
    with open_stores(one_server.servers, embedding(), tmp_path / "b"):
        pass


def test_calls_of_an_older_start_of_the_run_are_refused(one_server, tmp_path):
    with open_stores(one_server.servers, embedding(), tmp_path, close_run=False) as (first,):
        train(first, range(1, 3))
        with open_stores(one_server.servers, embedding(), tmp_path) as (second,):
            with pytest.raises(GenerationOverError, match=r"is at generation \d+, and the call is of generation \d+"):
                train(first, range(3, 4))
            assert second.num_rows("main") == 0  # a new start begins with no rows, and restores them


def test_ranks_with_other_settings_cannot_join_a_run(one_server, tmp_path):
    with open_stores(one_server.servers, embedding(), tmp_path) as (first,):
        from esmm_dist.parameter_server.remote_store import RemoteStore

        config = ClientConfig(servers=one_server.servers)
        with pytest.raises(ServerError, match="was opened as generation .* with other settings by another rank"):
            RemoteStore(config, RunTables(names=("main",), embedding=embedding(embedding_dim=8), seed=1), first._run)


def test_servers_listed_in_another_order_are_noticed_at_once(two_servers, tmp_path):
    swapped = ",".join(reversed(two_servers.addresses))
    with (
        pytest.raises(ServerError, match=r"this is server (.)/2, and the client lists it as (?!\1)./2. Give --servers"),
        open_stores(swapped, embedding(), tmp_path),
    ):
        pass


def test_servers_write_and_read_straight_at_an_s3_uri(two_servers, three_servers):
    config = embedding("adam")
    with S3Server() as s3:
        s3.make_bucket("bucket")
        run = s3.uri("bucket/run")
        with open_stores(two_servers.servers, config, run) as (store,):
            train(store, range(1, 6))
            folder, files = saved(store, run, 5)
            train(store, range(6, 9))
            expected = rows_of(*saved(store, run, 8))
            log = two_servers.logs[0].read_text()
        assert "bucket/run" in log
        assert "asecret" not in log
        with open_stores(three_servers.servers, config, s3.uri("bucket/other-run")) as (store,):
            store.restore(folder, files, step=5)
            train(store, range(6, 9))
            assert rows_of(*saved(store, s3.uri("bucket/other-run"), 8)) == expected
            s3.refuse_after(0)
            with pytest.raises(StorageError, match=r"server \d/3 .*s3://bucket/other-run/checkpoints/step-00000009"):
                store.save(folder_of(s3.uri("bucket/other-run"), 9), step=8)
            s3.refuse_after(float("inf"))


def folder_of(run: str, step: int) -> Folder:
    return Folder.open(run) / "checkpoints" / f"step-{step:08d}"


def test_a_flipped_byte_is_named_by_the_server_that_reads_it(two_servers, tmp_path):
    config = embedding("adam")
    with open_stores(two_servers.servers, config, tmp_path, close_run=False) as (store,):
        train(store, range(1, 6))
        folder, files = saved(store, tmp_path, 5)
        path = folder.local_path / files[1].path
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match=rf"server 1/2 .*{files[1].path} has another checksum"):
            store.restore(folder, files, step=5)
        with pytest.raises(
            CheckpointMismatchError, match=r"server 0/2 .* does not fit this run: .*4 columns and 8 slot"
        ):
            restore_with(two_servers.servers, embedding("sgd"), tmp_path, folder, files[:1])


def restore_with(servers: str, config: EmbeddingConfig, run: Path, folder: Folder, files: Sequence[TableFile]) -> None:
    with open_stores(servers, config, run) as (store,):
        store.restore(folder, files, step=5)
