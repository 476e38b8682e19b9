"""A server's figures as Prometheus text over HTTP, and its health: see ``process/health_endpoint.py``.

It is ready while the rows of a run are open and whole.
"""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from esmm_dist.parameter_server.stats import ServerStats
from esmm_dist.process.health_endpoint import HealthEndpoint


class MetricsEndpoint(HealthEndpoint):
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
        super().__init__(make_wsgi_app(registry), why_not_ready=why_not_ready, host=host, port=port)


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
