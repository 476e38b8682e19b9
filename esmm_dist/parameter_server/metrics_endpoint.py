"""A server's figures as Prometheus text over HTTP, and its health.

::

    GET /healthz   200 while the process serves
    GET /readyz    200 while the rows of a run are open and whole, else 503 with a line that says why
    GET /metrics   the figures; so does any other path
"""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from esmm_dist.errors import ConfigError
from esmm_dist.parameter_server.stats import ServerStats
from esmm_dist.process.request_deadline import RequestDeadline, SilentErrors

PATIENCE_S = 10.0
"""A client that does not finish its request by then is dropped, so that none holds a thread for ever."""


class MetricsEndpoint:
    """Answers ``GET /metrics``, ``/healthz`` and ``/readyz`` from threads of its own until it is closed.

    Pulls, pushes and saves run in other threads, so none of them keeps an answer waiting.
    """

    def __init__(
        self, stats: Callable[[], ServerStats], *, why_not_ready: Callable[[], str], host: str, port: int
    ) -> None:
        """Listen.

        Args:
            stats: returns the figures, at each request
            why_not_ready: returns why the server is not ready, at each request; empty: it is
            host: host to bind
            port: port to bind; 0: a free one, see ``port``

        Raises:
            ConfigError: The address cannot be bound.
        """
        registry = CollectorRegistry()
        registry.register(_ServerCollector(stats))
        figures: Callable[[dict[str, Any], Any], Iterable[bytes]] = make_wsgi_app(registry)

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


class _Server(SilentErrors, ThreadingWSGIServer):
    pass


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


class _ServerCollector(Collector):
    def __init__(self, stats: Callable[[], ServerStats]) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of ``ServerStats``."""
        stats = self._stats()
        labels = [str(stats.index)]
        for name, text, value in (
            ("rows", "Embedding rows of the open run", stats.rows),
            ("row_bytes", "Bytes of rows, slot variables and metadata", stats.row_bytes),
            ("candidates", "Ids that are counted and have no row yet", stats.candidates),
            ("candidate_bytes", "Bytes that such ids take, about", stats.candidate_bytes),
            ("resident_bytes", "Resident memory of the process", stats.resident_bytes),
            ("step", "Last step that all tables have applied", stats.step),
            ("generation", "Generation of the run", stats.generation),
            ("connections", "Open connections", stats.connections),
            ("uptime_seconds", "Seconds since the server's start", stats.uptime_s),
            ("idle_seconds", "Seconds since the last call of the run", stats.idle_s),
        ):
            gauge = GaugeMetricFamily(f"esmm_server_{name}", text, labels=["server"])
            gauge.add_metric(labels, value)
            yield gauge
        for name, text, value in (
            ("repeated_pushes", "Pushes dropped because they had come before", stats.repeated_pushes),
            ("undone_steps", "Steps undone because not every rank had finished them", stats.undone_steps),
            ("lost_steps", "Steps whose gradients were lost in part", stats.lost_steps),
            ("repeated_steps", "Steps whose gradients were applied twice in part", stats.repeated_steps),
            ("refused_calls", "Calls that got an error", stats.refused_calls),
        ):
            counter = CounterMetricFamily(f"esmm_server_{name}", text, labels=["server"])
            counter.add_metric(labels, value)
            yield counter
        for kind, calls in (("pull", stats.pulls), ("push", stats.pushes)):
            for name, text, value in (
                (f"{kind}_calls", "Calls answered", calls.calls),
                (f"{kind}_rows", "Rows of the calls answered", calls.rows),
            ):
                counter = CounterMetricFamily(f"esmm_server_{name}", text, labels=["server"])
                counter.add_metric(labels, value)
                yield counter
            for name, text, value in (
                (f"{kind}s_per_second", "Calls a second, over ten seconds", calls.calls_per_s),
                (f"{kind}_p50_seconds", "Median time of a call in the server", calls.p50_ms / 1000),
                (f"{kind}_p99_seconds", "99th percentile of the time of a call", calls.p99_ms / 1000),
            ):
                gauge = GaugeMetricFamily(f"esmm_server_{name}", text, labels=["server"])
                gauge.add_metric(labels, value)
                yield gauge
