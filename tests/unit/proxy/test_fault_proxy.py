"""The proxy that makes network faults does what its commands say, on real sockets."""

import contextlib
import gc
import socket
import threading
import time

import pytest

from tests.support.fault_proxy import FaultProxy

pytestmark = pytest.mark.timeout(30)


class Echo:
    """Answers with what it gets; knows how each connection ended."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.received, self.endings = b"", []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self._threads.append(threading.Thread(target=self._answer, args=(connection,)))
                self._threads[-1].start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    self.received += data
                    connection.sendall(data)
                self.endings.append("end")
            except OSError:
                self.endings.append("reset")

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()


@pytest.fixture
def echo():
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def proxy(echo):
    proxy = FaultProxy(echo.address)
    yield proxy
    proxy.close()


@pytest.fixture
def connect(proxy):
    with contextlib.ExitStack() as stack:

        def connect() -> socket.socket:
            host, port = proxy.address.split(":")
            client = stack.enter_context(socket.create_connection((host, int(port)), timeout=5))
            client.settimeout(0.3)
            return client

        yield connect


def asked(client: socket.socket, data: bytes = b"hello") -> bytes:
    client.sendall(data)
    return client.recv(65536)


def until_reset(client: socket.socket) -> bytes:
    found = b""
    try:
        while data := client.recv(10):
            found += data
    except ConnectionResetError:
        return found
    raise AssertionError("the connection ended without a reset")


def eventually(condition) -> None:
    give_up = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_it_forwards_both_ways_and_passes_the_end_on(proxy, connect, echo):
    client = connect()
    assert asked(client) == b"hello"
    assert proxy.passed == {"up": 5, "down": 5}
    client.shutdown(socket.SHUT_WR)
    assert client.recv(10) == b""
    eventually(lambda: echo.endings == ["end"])


def test_a_reset_after_n_bytes_up_lets_exactly_those_through_once(proxy, connect, echo):
    proxy.reset_after(3, "up")
    client = connect()
    client.sendall(b"hello")
    assert until_reset(client) in (b"", b"h", b"he", b"hel")  # the echo may still come through
    eventually(lambda: echo.endings)
    assert echo.received == b"hel"
    assert asked(connect()) == b"hello"
    assert proxy.resets == 1


def test_a_reset_after_n_bytes_down_comes_when_the_server_has_all(proxy, connect, echo):
    proxy.reset_after(2, "down")
    client = connect()
    client.sendall(b"hello")
    assert until_reset(client) == b"he"
    assert echo.received == b"hello"


def test_a_reset_now_ends_all_connections(proxy, connect):
    clients = [connect(), connect()]
    for client in clients:
        asked(client)
    proxy.reset()
    for client in clients:
        with pytest.raises(ConnectionResetError):
            client.recv(10)


def test_a_delay_holds_each_piece_back(proxy, connect):
    client = connect()
    client.settimeout(5)
    proxy.delay(0.2)
    start = time.monotonic()
    assert asked(client) == b"hello"
    assert time.monotonic() - start >= 0.4  # there and back
    proxy.heal()
    start = time.monotonic()
    assert asked(client) == b"hello"
    assert time.monotonic() - start < 0.2


def test_a_black_hole_swallows_and_answers_nothing_on_old_and_new_connections(proxy, connect, echo):
    old = connect()
    asked(old)
    proxy.black_hole()
    for client in (old, connect()):
        with pytest.raises(TimeoutError):
            asked(client)
    assert echo.received == b"hello"
    proxy.heal()
    assert asked(connect()) == b"hello"
    with pytest.raises(TimeoutError):  # what is lost is lost
        asked(old)


def test_lost_answers_are_those_of_old_connections_to_questions_that_came(proxy, connect, echo):
    old = connect()
    asked(old)
    proxy.lose_answers()
    with pytest.raises(TimeoutError):
        asked(old)
    assert echo.received == b"hellohello"
    assert asked(connect()) == b"hello"


def test_a_half_open_connection_has_lost_its_server_and_does_not_know(proxy, connect, echo):
    old = connect()
    asked(old)
    proxy.half_open()
    eventually(lambda: echo.endings == ["reset"])
    with pytest.raises(TimeoutError):
        asked(old)
    assert asked(connect()) == b"hello"


def test_refused_connections_are_accepted_again_once_healed(proxy, connect):
    old = connect()
    assert asked(old) == b"hello"
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect()
    assert asked(old) == b"hello"
    proxy.heal()
    assert asked(connect()) == b"hello"


def test_closing_ends_connections_and_threads_and_may_be_repeated(proxy, connect):
    client = connect()
    asked(client)
    proxy.black_hole()
    proxy.close()
    proxy.close()
    with pytest.raises(ConnectionResetError):
        client.recv(10)
    assert "fault-proxy" not in [thread.name for thread in threading.enumerate()]


def test_connections_that_are_reset_before_they_are_served_are_closed_too(echo):
    for _ in range(30):
        with FaultProxy(echo.address) as proxy:
            host, port = proxy.address.split(":")
            with socket.create_connection((host, int(port)), timeout=5):
                proxy.reset()
    gc.collect()  # an unclosed socket would warn here, and warnings are errors


def test_connections_that_come_as_it_stops_listening_are_closed_too(echo):
    for _ in range(300):
        with FaultProxy(echo.address) as proxy:
            host, port = proxy.address.split(":")
            with contextlib.ExitStack() as stack:
                for _ in range(3):
                    stack.enter_context(socket.create_connection((host, int(port)), timeout=5))
                proxy.refuse()
    gc.collect()
