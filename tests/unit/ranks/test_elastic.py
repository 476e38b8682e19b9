"""The life of an elastic rank beside a Horovod that the test plays: rendezvous, loss of another rank, leaving."""

import os
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.ranks import elastic, horovod
from esmm_dist.ranks.elastic import ElasticWorld
from esmm_dist.ranks.rendezvous.client import RendezvousClient
from esmm_dist.ranks.rendezvous.signing import RendezvousPlace

RENDEZVOUS = RendezvousClient(
    RendezvousPlace(host="127.0.0.1", port=1, nonce="ab"), "0123456789abcdef"
)  # is not called


class FakeHorovod:
    """Connects this rank to one other: by a socket, as gloo does. Its operations end when the test says so."""

    Sum = "sum"

    def __init__(self) -> None:
        self.places = [(0, 2), (1, 3)]  # of one rendezvous after the other
        self.place = (-1, -1)
        self.others: list[socket.socket] = []
        self._own: list[socket.socket] = []
        self._ended: list[threading.Event] = []
        self._watched: list[threading.Event] = []

    def init(self) -> None:
        self.place = self.places.pop(0)
        own, other = socket.socketpair()
        self._own.append(own)
        self.others.append(other)
        self._ended.append(threading.Event())
        self._watched.append(threading.Event())

    def rank(self) -> int:
        return self.place[0]

    def size(self) -> int:
        return self.place[1]

    def shutdown(self) -> None:
        assert self._watched[-1].wait(20)  # the thread that watches may only just begin
        self._ended[-1].set()

    def lose_rank(self) -> None:
        self._ended[-1].set()

    def allreduce(self, value, op, name):
        ended = self._ended[-1]
        self._watched[-1].set()

        def wait() -> float:
            ended.wait(20)
            raise RuntimeError("Horovod has been shut down")

        tf = import_tensorflow()
        return tf.py_function(wait, [], tf.float32)

    def close(self) -> None:
        for ended in self._ended:
            ended.set()
        for each in (*self._own, *self.others):
            each.close()


@pytest.fixture
def fake(monkeypatch) -> Iterator[FakeHorovod]:
    found = FakeHorovod()
    monkeypatch.setattr(horovod, "import_horovod", lambda: found)
    monkeypatch.setattr(horovod, "horovod_library", lambda: None)
    monkeypatch.setattr(horovod, "listen_on_interface", lambda library: None)
    monkeypatch.setattr(horovod, "Relay", lambda client: SimpleNamespace(environment={}))
    for name, value in {"HOROVOD_HOSTNAME": "worker-0.0", "HOROVOD_LOCAL_RANK": "0", "ESMM_LOCAL_RANK": "3"}.items():
        monkeypatch.setenv(name, value)
    for name in ("HOROVOD_RANK", "HOROVOD_SIZE", "HOROVOD_LOG_LEVEL", "HOROVOD_STALL_CHECK_DISABLE"):
        monkeypatch.setenv(name, "")  # set by the world, and restored after the test
    yield found
    found.close()


@pytest.fixture
def joined(monkeypatch) -> list[tuple[str, object]]:
    """Who has joined, and what is called when the driver announces a change."""
    found: list[tuple[str, object]] = []
    monkeypatch.setattr(elastic, "join_ranks", lambda client, name, on_change: found.append((name, on_change)))
    return found


def is_hung_up(connection: socket.socket) -> bool:
    connection.settimeout(20)
    return connection.recv(1) == b""


def test_a_rank_joins_under_its_workers_name_and_knows_its_place(fake, joined):
    world = ElasticWorld(RENDEZVOUS)
    assert (world.rank, world.size, world.local_rank, world.elastic) == (0, 2, 3, True)
    assert [name for name, _ in joined] == ["worker-0.0:0"]
    assert (os.environ["HOROVOD_RANK"], os.environ["HOROVOD_SIZE"]) == ("0", "2")


def test_a_lost_rank_is_told_once_and_the_connections_of_the_others_are_hung_up(fake, joined):
    lost = threading.Semaphore(0)
    ElasticWorld(RENDEZVOUS, lost.release)
    fake.lose_rank()
    assert lost.acquire(timeout=20)
    assert is_hung_up(fake.others[0])
    assert not lost.acquire(timeout=0.2)


def test_the_next_rendezvous_gives_another_place_and_forgets_the_announcement(fake, joined):
    world = ElasticWorld(RENDEZVOUS)
    joined[0][1]()
    assert world.change_announced
    world.rejoin()
    assert (world.rank, world.size, world.change_announced) == (1, 3, False)
    assert (os.environ["HOROVOD_RANK"], os.environ["HOROVOD_SIZE"]) == ("1", "3")
    assert is_hung_up(fake.others[0])  # a third rank may still wait for this one over it


def test_a_rank_that_leaves_is_no_loss(fake, joined):
    lost = threading.Semaphore(0)
    world = ElasticWorld(RENDEZVOUS, lost.release)
    world.leave()
    assert is_hung_up(fake.others[0])
    assert not lost.acquire(timeout=0.2)


def test_connections_are_those_that_the_rendezvous_has_opened():
    before = elastic._open_sockets()
    own, other = socket.socketpair()
    with own, other:
        opened = elastic._open_sockets().items() - before.items()
        assert {descriptor for descriptor, _ in opened} == {own.fileno(), other.fileno()}
    assert elastic._open_sockets().items() - before.items() == set()


def test_a_descriptor_that_belongs_to_another_socket_by_now_is_left_alone():
    own, other = socket.socketpair()
    with own, other:
        elastic._hang_up({own.fileno(): "socket:[1]"})  # the kernel's name of a socket that is closed
        own.sendall(b"x")
        assert other.recv(1) == b"x"
        elastic._hang_up({own.fileno(): elastic._open_sockets()[own.fileno()]})
        assert is_hung_up(other)
