"""Health of a process over HTTP, and its figures.

::

    GET /healthz   200 while the process runs
    GET /readyz    200 while it can do its work, else 503 with a line that says why
    GET /metrics   the figures; so does any other path
"""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from esmm_dist.errors import ConfigError
from esmm_dist.process.request_deadline import RequestDeadline, SilentErrors

PATIENCE_S = 10.0
"""A client that does not finish its request by then is dropped, so that none holds a thread for ever."""


class HealthEndpoint:
    """Answers from threads of its own until it is closed, so that no work keeps an answer waiting."""

    def __init__(
        self,
        figures: Callable[[dict[str, Any], Any], Iterable[bytes]],
        *,
        why_not_ready: Callable[[], str],
        host: str,
        port: int,
    ) -> None:
        """Listen.

        Args:
            figures: WSGI application that answers with the figures
            why_not_ready: returns why the process is not ready, at each request; empty: it is
            host: host to bind
            port: port to bind; 0: a free one, see ``port``

        Raises:
            ConfigError: The address cannot be bound.
        """

        def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            match environ["PATH_INFO"]:
                case "/healthz":
                    return _say(start_response, "200 OK", "serving")
                case "/readyz":
                    why = why_not_ready()
                    return _say(start_response, "503 Service Unavailable" if why else "200 OK", why or "ready")
            return figures(environ, start_response)

        server_class = _Server6 if ":" in host else _Server
        try:
            self._server = make_server(host, port, answer, server_class, handler_class=_Handler)
        except OSError as e:
            raise ConfigError(f"metrics_port {port} on {host} is refused: {e.strerror}. Choose a free port.") from e
        self.port = int(self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering; harmless when called twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(SilentErrors, socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(RequestDeadline, WSGIRequestHandler):
    timeout = PATIENCE_S

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: a probe comes every few seconds."""


def _say(start_response: Any, status: str, line: str) -> Iterable[bytes]:
    data = f"{line}\n".encode()
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(data)))])
    return [data]
