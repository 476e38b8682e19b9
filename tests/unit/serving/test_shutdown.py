import contextlib
import http.client
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.scoring_server import ask_over, wait_for

ONE, SLOW = {"candidates": [0.5]}, {"candidates": [0.75]}


@contextlib.contextmanager
def server_process(drain_s: float) -> Iterator[tuple[subprocess.Popen[str], int]]:
    line = [sys.executable, "-m", "tests.support.stand_in_server", str(drain_s)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


class Balancer:
    """Sends requests over connections that it keeps, until the server says that it is not ready, as balancers do."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.statuses: Counter[int] = Counter()
        self.closed = 0
        """Answers that ended their connection."""
        self.failed: list[str] = []
        self.stopped = threading.Event()

    def send(self, body: object) -> None:
        connection = self._connection()
        while not self.stopped.is_set():
            try:
                reply = ask_over(connection, "POST", "/v1/score", body)
            except Exception as e:
                self.failed.append(repr(e))
                return
            self.statuses[reply.status] += 1
            if reply.headers["Connection"] == "close":
                self.closed += 1
                connection.close()
                connection = self._connection()
        connection.close()

    def ready(self) -> int:
        with contextlib.closing(self._connection()) as connection:
            return ask_over(connection, "GET", "/readyz").status

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)


def test_no_request_fails_at_an_end_behind_a_balancer():
    with server_process(drain_s=1.0) as (process, port):
        balancer = Balancer(port)
        threads = [threading.Thread(target=balancer.send, args=(body,)) for body in [ONE] * 3 + [SLOW]]
        for thread in threads:
            thread.start()
        wait_for(lambda: balancer.statuses[200] > 20)
        assert balancer.ready() == 200
        assert balancer.closed == 0
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: balancer.ready() == 503)
        answered, closed = balancer.statuses[200], balancer.closed
        wait_for(lambda: balancer.statuses[200] > answered + 10)  # it goes on answering
        assert balancer.closed > closed + 5  # answers to /v1/score say so, too
        balancer.stopped.set()
        for thread in threads:
            thread.join(30)
        output, errors = process.communicate(timeout=30)
        assert (balancer.failed, list(balancer.statuses)) == ([], [200])
        assert (process.returncode, output, errors) == (0, "ended\n", "")


def test_a_request_under_way_at_the_end_is_answered_and_its_connection_closed():
    with server_process(drain_s=0.0) as (process, port):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request("POST", "/v1/score", b'{"candidates": [0.75]}', {"Content-Type": "application/json"})
            figures = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            wait_for(lambda: b"esmm_serving_in_flight_requests 1.0" in ask_over(figures, "GET", "/metrics").body)
            process.send_signal(signal.SIGTERM)
            response = connection.getresponse()
            assert (response.status, response.headers["Connection"]) == (200, "close")
            assert response.read().startswith(b'{"version":"3"')
            figures.close()
        assert process.wait(30) == 0
        with pytest.raises(ConnectionRefusedError):
            http.client.HTTPConnection("127.0.0.1", port, timeout=30).connect()


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
def test_a_person_or_a_second_signal_does_not_wait_for_balancers(signals: list[signal.Signals]):
    with server_process(drain_s=1000.0) as (process, port):
        balancer = Balancer(port)
        wait_for(lambda: balancer.ready() == 200)
        process.send_signal(signals[0])
        if len(signals) > 1:
            wait_for(lambda: balancer.ready() == 503)
            process.send_signal(signals[1])
        assert process.wait(30) == 0
