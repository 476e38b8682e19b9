"""Sizes of tables: counted here, and asked of servers without waiting for them."""

import threading
from typing import Any

import numpy as np
import pytest

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.table import row_bytes
from esmm_dist.errors import RetryError
from esmm_dist.train.run_speed import TableSize
from esmm_dist.train.table_sizes import ASK_S, TableSizes


@pytest.mark.parametrize("optimizer", ["adagrad", "rowwise_adagrad", "adam", "sgd", "ftrl"])
def test_a_row_takes_the_bytes_that_its_table_counts(optimizer):
    config = EmbeddingConfig(embedding_dim=6, embedding_dim_by_table={"wide": 10}, embedding_optimizer=optimizer)
    store = EmbeddedStore(("main", "wide"), config, seed=1)
    for table, rows in (("main", 3), ("wide", 5)):
        ids = np.arange(1, rows + 1, dtype=np.int64)
        gradients = np.ones((rows, config.dim_of(table)), dtype=np.float32)
        store.push(store.prepare(table, ids, np.ones(rows, dtype=np.int64)), gradients, impressions=4, step=1)
    sizes = TableSizes(store, ("main", "wide"), config, embedded=True).now()
    for table, rows in (("main", 3), ("wide", 5)):
        assert sizes[table] == TableSize(rows=rows, bytes=rows * row_bytes(config, table))
        assert sizes[table].bytes == store.table(table).memory_bytes


class Servers:
    """Rows that take a while to be counted: until ``answer`` is set."""

    def __init__(self) -> None:
        self.answer = threading.Event()
        self.calls = 0
        self.error: Exception | None = None

    def num_rows(self, table: str) -> int:
        self.calls += 1
        assert self.answer.wait(30)
        if self.error is not None:
            raise self.error
        return 7


class Remote:
    """Sizes that servers know, on a clock that is moved by hand."""

    def __init__(self) -> None:
        self.servers, self.now_s = Servers(), 0.0
        store: Any = self.servers
        self.config = EmbeddingConfig(embedding_dim=2)
        self.sizes = TableSizes(store, ("main",), self.config, embedded=False, clock=lambda: self.now_s)

    def wait(self) -> None:
        assert self.sizes._asking is not None
        self.sizes._asking.join(30)


@pytest.fixture
def remote():
    remote = Remote()
    yield remote
    remote.servers.answer.set()


def test_servers_are_asked_one_question_at_a_time_and_nobody_waits(remote):
    for _ in range(3):
        remote.now_s += ASK_S
        assert remote.sizes.now() == {}
    remote.servers.answer.set()
    remote.wait()
    assert remote.servers.calls == 1
    assert remote.sizes.now() == {"main": TableSize(rows=7, bytes=7 * row_bytes(remote.config, "main"))}


def test_servers_are_asked_every_few_seconds_at_most(remote):
    remote.servers.answer.set()
    for now_s, calls in ((0.0, 1), (ASK_S / 2, 1), (ASK_S, 2), (ASK_S + 1, 2)):
        remote.now_s = now_s
        remote.sizes.now()
        remote.wait()
        assert remote.servers.calls == calls


@pytest.mark.parametrize("error", [RetryError("server 0 is lost"), RuntimeError("cannot schedule new futures")])
def test_servers_that_do_not_say_leave_the_sizes_open(remote, error):
    remote.servers.answer.set()
    remote.sizes.now()
    remote.wait()
    remote.now_s = ASK_S / 2
    assert remote.sizes.now()["main"].rows == 7
    remote.servers.error, remote.now_s = error, ASK_S
    remote.sizes.now()
    remote.wait()
    assert remote.sizes.now() == {}
