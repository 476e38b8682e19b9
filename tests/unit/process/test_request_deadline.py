"""A request that comes a byte at a time is dropped when its time is over, wherever this project listens for HTTP."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from esmm_dist.parameter_server import metrics_endpoint
from esmm_dist.process import health_endpoint
from esmm_dist.ranks.rendezvous import relay
from esmm_dist.ranks.rendezvous.client import RendezvousClient
from esmm_dist.ranks.rendezvous.signing import RendezvousPlace
from launcher.agent import http_server as agent_http
from launcher.driver import rendezvous_server as rendezvous

LIMIT_S = 0.3
TOKEN = "0123456789abcdef"
BEGINNINGS = [b"", b"GET /healthz HTTP/1.1\r\n", b"POST /start HTTP/1.1\r\nA: b\r\n"]


def start_metrics(stack: ExitStack) -> int:
    endpoint = metrics_endpoint.MetricsEndpoint(lambda: None, why_not_ready=str, host="127.0.0.1", port=0)  # type: ignore[arg-type,return-value]
    stack.callback(endpoint.close)
    return endpoint.port


def start_agent(stack: ExitStack) -> int:
    server = agent_http.AgentServer(object(), bind="127.0.0.1:0", token=TOKEN)  # type: ignore[arg-type]
    stack.enter_context(server)
    return int(server.server_address[1])


def start_rendezvous(stack: ExitStack) -> int:
    server = rendezvous.RendezvousServer(TOKEN)
    stack.callback(server.stop)
    return server.start().port


def start_relay(stack: ExitStack) -> int:
    place = RendezvousPlace(host="127.0.0.1", port=1, nonce="n")
    made = relay.Relay(RendezvousClient(place, TOKEN))
    stack.callback(made.close)
    return int(made.environment["HOROVOD_GLOO_RENDEZVOUS_PORT"])


STARTS = {
    health_endpoint: start_metrics,
    agent_http: start_agent,
    rendezvous: start_rendezvous,
    relay: start_relay,
}


@pytest.fixture(params=STARTS, ids=lambda module: module.__name__.rpartition(".")[2])
def port(request, monkeypatch) -> Iterator[int]:
    start: Callable[[ExitStack], int] = STARTS[request.param]
    monkeypatch.setattr(request.param._Handler, "timeout", LIMIT_S)
    with ExitStack() as stack:
        yield start(stack)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_request_that_comes_a_byte_at_a_time_is_dropped(port, beginning, capfd):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
        slow.sendall(beginning)
        ended = threading.Event()

        def drip() -> None:
            while not ended.wait(LIMIT_S / 10):  # never silent for as long as the limit
                try:
                    slow.sendall(b"x")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert _is_closed(slow)
        finally:
            ended.set()
            thread.join()
    assert capfd.readouterr().err == ""


def test_a_client_that_goes_away_or_says_nothing_leaves_no_traceback(port, capfd):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as silent:
        assert _is_closed(silent)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as gone:
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, no orderly end
        gone.sendall(b"GET /")
    time.sleep(0.1)
    assert capfd.readouterr().err == ""


def _is_closed(connection: socket.socket) -> bool:
    """Return whether the other side ends the connection within the socket's time-out."""
    try:
        while connection.recv(1000):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True
