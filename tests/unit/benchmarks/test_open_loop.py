"""The load generator: requests that are due while an answer is late wait on the clock."""

import math
import socket
import threading
import time

import pytest

from tests.benchmarks.open_loop import Load, Sent, arrivals, percentile, request_bytes, send

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Esmm-Version: 3\r\n\r\n{}"


def test_percentiles_are_values_that_were_measured():
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(1, 201)], 0.99) == 198.0
    assert percentile([7.0], 1.0) == 7.0
    assert math.isnan(percentile([], 0.5))


def test_arrivals_do_not_depend_on_answers():
    assert list(arrivals(4, 1, poisson=False)) == [0.0, 0.25, 0.5, 0.75]
    drawn = list(arrivals(100, 50, poisson=True))
    assert abs(len(drawn) - 5_000) < 3 * 5_000**0.5
    assert drawn == list(arrivals(100, 50, poisson=True))
    assert drawn == sorted(drawn)


def test_what_fails_is_late_without_end_and_counts_for_no_rate():
    sent = [Sent(due_s=float(n), latency_s=1.0, status=200 if n else 503, version="1") for n in range(4)]
    load = Load(sent=tuple(sent), cpu_s=0.0)
    assert (load.failed, load.rate) == (1, 0.75)
    assert load.latency_s(0.75) == 1.0
    assert load.latency_s(1.0) == math.inf
    assert [each.due_s for each in load.between(1, 3).sent] == [1.0, 2.0]


@pytest.fixture
def slow_once():
    """A server that takes 0.3 s for its first answer, closes each connection after three, and notes the requests."""
    asked: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as incoming:
            for _ in range(3):
                line = incoming.readline()
                if not line:
                    return
                while incoming.readline().strip():
                    pass
                asked.append(line + incoming.read(2))
                if len(asked) == 1:
                    time.sleep(0.3)
                connection.sendall(ANSWER)

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=talk, args=(connection,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threads = [threading.Thread(target=serve)]
        threads[0].start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(10)


def test_latency_is_counted_from_when_a_request_was_due(slow_once):
    address, asked = slow_once
    requests = [request_bytes("/v1/score", body) for body in (b"aa", b"bb")]
    load = send(address, requests, [0.0, 0.1, 0.2, 0.25], connections=1)
    assert asked[:3] == [b"POST /v1/score HTTP/1.1\r\n" + body for body in (b"aa", b"bb", b"aa")]
    assert [each.status for each in load.sent] == [200, 200, 200, 0]  # the server has closed the connection
    assert load.sent[0].version == "3"
    for each, least_s in zip(load.sent, (0.3, 0.2, 0.1, 0.05), strict=True):
        assert each.latency_s >= least_s


def test_closed_each_connection_sends_once_it_has_its_answer(slow_once):
    address, asked = slow_once
    load = send(address, [request_bytes("/", b"aa")], 0.05, connections=1, closed=True)
    assert (len(load.sent), len(asked)) == (1, 1)  # the first answer is later than the end
    assert load.sent[0].latency_s >= 0.3
