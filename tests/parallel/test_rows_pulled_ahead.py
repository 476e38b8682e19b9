"""Rows that are pulled while the step before them runs are those that a pull after it would read, to the last bit."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from esmm_dist.arrays import F32
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.embedding.ticket import Ticket
from esmm_dist.errors import RetryError, ServerLostError
from esmm_dist.parameter_server.rank_push import RankPush, sum_of
from tests.parallel.store_clients import DIM, embedded, embedding, open_stores, random_step, rows_of, saved
from tests.support.server_processes import server_processes

pytestmark = pytest.mark.timeout(300)

STEPS = 40


def tickets_of(store: EmbeddingStore, step: int, rank: int) -> Ticket:
    ids, _ = random_step(100 * step + rank, most=120)
    return store.prepare("main", ids, np.ones(len(ids), np.int64))


def push_to_embedded(store: EmbeddingStore, step: int, pushes: Sequence[tuple[Ticket, F32]]) -> None:
    """Push the sum of the ranks' gradients, in rank order, as servers do."""
    parts = [
        RankPush(ticket=Ticket(table="main", ids=t.ids, counts=t.counts), gradients=g, impressions=9, rate_factor=1.0)
        for t, g in pushes
    ]
    merged = sum_of(parts)
    ticket = store.prepare("main", merged.ticket.ids, merged.ticket.counts)
    store.push(ticket, merged.gradients, impressions=9, step=step)


@pytest.mark.parametrize("admit_after", [1, 3])
@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("servers", ["one_server", "three_servers"])
def test_ranks_that_pull_ahead_read_and_leave_the_rows_of_one_process(
    servers, world_size, admit_after, request, tmp_path
):
    """Ranks pull ahead early, late or not at all, and push in any order; rows are evicted now and then."""
    servers, dice = request.getfixturevalue(servers), random.Random(world_size)
    config = embedding("adam", admit_after=admit_after, evict_every_steps=7, ttl_steps=5)
    reference = embedded(config)
    with open_stores(servers.servers, config, tmp_path, world_size=world_size) as stores:
        tickets = [tickets_of(store, 1, rank) for rank, store in enumerate(stores)]
        ahead = 0
        for step in range(1, STEPS + 1):
            pushes = []
            for store, ticket in zip(stores, tickets, strict=True):
                ahead += ticket.ahead is not None
                rows = store.pull(ticket, step=step)
                np.testing.assert_array_equal(rows, reference.pull(reference.prepare("main", ticket.ids)))
                pushes.append((ticket, rows + np.float32(0.5)))
            following = [tickets_of(store, step + 1, rank) for rank, store in enumerate(stores)]
            order = dice.sample(range(world_size), world_size)
            for rank in order:
                when = dice.choice(["early", "late", "never", "early"])
                for now in ("early", "late"):
                    if now == when:
                        stores[rank].pull_ahead(following[rank], step=step, before=tickets[rank].ids)
                    if now == "early":
                        stores[rank].push(*pushes[rank], impressions=9, step=step)
            push_to_embedded(reference, step, pushes)
            if step % 7 == 0:
                assert stores[0].evict(step=step) == reference.evict(step=step)
            tickets = following
        assert ahead > STEPS / 3
        expected = rows_of(*saved(reference, tmp_path / "embedded", STEPS))
        assert rows_of(*saved(stores[0], tmp_path, STEPS)) == expected


def test_a_row_that_another_rank_changes_is_sent_again_and_no_other(one_server, tmp_path):
    """SGD at rate 0.1 from 0: after gradients of 1 a row is -0.1."""
    ids, ones = np.array([1, 2, 3]), np.ones((1, DIM), np.float32)
    with open_stores(one_server.servers, embedding("sgd", start_scale=0.0), tmp_path, world_size=2) as stores:
        ticket = stores[0].prepare("main", ids)
        stores[0].pull_ahead(ticket, step=1, before=ids[:1])
        assert ticket.ahead is not None
        assert [places.tolist() for places in ticket.ahead.early] == [[1, 2]]
        ticket.ahead.rows[1:] = 7.0  # would be overwritten if it were sent again
        stores[0].push(stores[0].prepare("main", ids[:1]), ones, impressions=1, step=1)
        stores[1].push(stores[1].prepare("main", ids[1:2]), ones, impressions=1, step=1)
        rows = stores[0].pull(ticket, step=2)
    np.testing.assert_allclose(rows[:, 0], [-0.05, -0.05, 7.0], rtol=1e-6)


@pytest.mark.parametrize("world_size", [1, 2])
def test_rows_pulled_ahead_of_an_eviction_are_read_again(one_server, tmp_path, world_size):
    ids, config = np.array([1, 2]), embedding("sgd", start_scale=0.0, evict_every_steps=1, ttl_steps=1)
    ones = np.ones((2, DIM), np.float32)
    with open_stores(one_server.servers, config, tmp_path, world_size=world_size) as stores:
        for step, pushed in ((1, ids), (2, ids[:1])):
            if step == 2:
                ticket = stores[0].prepare("main", ids)
                stores[0].pull_ahead(ticket, step=2, before=ids[:1])
                assert ticket.ahead is not None
                assert ticket.ahead.rows[1].all()
            for store in stores:
                store.push(store.prepare("main", pushed), ones[: len(pushed)], impressions=1, step=step)
        assert stores[0].evict(step=2) == {"main": 1}
        rows = stores[0].pull(ticket, step=3)
    assert rows[0].all()
    assert not rows[1].any()


def test_a_pull_ahead_that_would_wait_for_another_rank_is_given_up(one_server, tmp_path):
    config, ids = embedding("sgd", start_scale=0.0), np.array([1, 2])
    with open_stores(one_server.servers, config, tmp_path, world_size=2) as stores:
        stores[0].push(stores[0].prepare("main", ids[:1]), np.ones((1, DIM), np.float32), impressions=1, step=1)
        ticket = stores[0].prepare("main", ids)
        stores[0].pull_ahead(ticket, step=2, before=ids[:1])  # rank 1 has not pushed step 1
        assert ticket.ahead is None


def test_a_server_that_dies_between_the_halves_is_an_error_and_its_successor_has_no_rows(tmp_path):
    config, ids, ones = embedding("sgd"), np.arange(8), np.ones((2, DIM), np.float32)
    with (
        server_processes(1) as servers,
        open_stores(servers.servers, config, tmp_path, close_run=False, server_timeout_s=4.0) as (store,),
    ):
        tickets = [store.prepare("main", ids) for _ in range(2)]
        store.pull_ahead(tickets[0], step=1, before=ids[:2])
        assert tickets[0].ahead is not None
        store.push(store.prepare("main", ids[:2]), ones, impressions=1, step=1)
        servers.processes[0].kill()
        servers.processes[0].wait()
        with pytest.raises(RetryError, match="server 0/1"):
            store.pull(tickets[0], step=2)
        store.pull_ahead(tickets[0], step=2, before=ids[:2])  # one try, and no error: the step's own calls have it
        assert tickets[0].ahead is None
        with server_processes(1, "--bind", servers.addresses[0]):
            store.pull_ahead(tickets[1], step=2, before=ids[:2])
            assert tickets[1].ahead is None
            with pytest.raises(ServerLostError, match="is not open here"):
                store.pull(tickets[1], step=2)
