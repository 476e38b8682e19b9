"""A scoring server within the test's process, and requests to it over real sockets."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

from esmm_dist.serving.config import ServeConfig
from esmm_dist.serving.http.http_server import ScoringServer
from esmm_dist.serving.metrics import ServingMetrics
from esmm_dist.serving.scoring.snapshot import Serving


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of a refusal, which is all that its JSON has."""
        value = self.json
        assert list(value) == ["error"]
        assert isinstance(value["error"], str)
        return value["error"]


@dataclass(frozen=True, kw_only=True)
class RunningServer:
    host: str
    port: int
    server: ScoringServer
    metrics: ServingMetrics
    thread: threading.Thread

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        """Ask once, over a connection of its own; a body that is no bytes is sent as JSON."""
        with contextlib.closing(http.client.HTTPConnection(self.host, self.port, timeout=30)) as connection:
            return ask_over(connection, method, path, body, headers)

    def score(self, body: Any, **headers: str) -> Reply:
        return self.ask("POST", "/v1/score", body, headers)

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=30)

    def figures(self) -> dict[str, float]:
        """Return the figures of /metrics by name and labels."""
        lines = self.metrics.text().decode().splitlines()
        pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
        return {name: float(value) for name, value in pairs}


def ask_over(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    if body is not None:
        sent.setdefault("Content-Type", "application/json")
    connection.request(method, path, body, sent)
    response = connection.getresponse()
    return Reply(status=response.status, headers=response.headers, body=response.read())


@contextlib.contextmanager
def running_server(serving: Serving, *, send_buffer_bytes: int = 0, **settings: Any) -> Iterator[RunningServer]:
    """Run a server in a thread on a free port of this machine until the block ends.

    Args:
        serving: hands out the version
        send_buffer_bytes: what the system keeps of a connection's answers; 0: as much as it wants
        **settings: those of the server
    """
    config = ServeConfig(models="models", **{"port": 0, "drain_s": 0.0, **settings})
    metrics = ServingMetrics()
    server = ScoringServer(serving, config, metrics)
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    if send_buffer_bytes:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
    host, port = listening.getsockname()
    thread = threading.Thread(target=server.run, args=([listening],), name="server")
    thread.start()
    try:
        wait_for(lambda: server.answers)
        yield RunningServer(host=host, port=port, server=server, metrics=metrics, thread=thread)
    finally:
        server.drain()
        thread.join(30)
        assert not thread.is_alive()


def wait_for(condition: Any, seconds: float = 20.0) -> None:
    """Wait until a condition holds."""
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, "waited too long"
        time.sleep(0.005)


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the other end closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)
