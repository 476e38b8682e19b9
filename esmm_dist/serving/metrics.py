"""What a server counts, as Prometheus reads it.

With several processes each writes its figures into files of a folder that they share, and whichever is asked adds them
all up (``prometheus_client``'s multiprocess mode). Figures of a process that has ended stay in the sums of counters and
histograms; its gauges go with it (``forget_process``).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Stage = Literal["read", "score", "write"]

_SECONDS = (0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_NUMBERS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class ServingMetrics:
    """The figures of one process, or its part of several processes'. Thread-safe."""

    def __init__(self, shared_folder: Path | None = None) -> None:
        """Begin to count.

        Args:
            shared_folder: folder of the processes' files, empty when the first of them starts; None: there is one
                process
        """
        self._shared_folder = shared_folder
        if shared_folder is not None:
            # The package looks at the variable when it is imported, which may have been before
            os.environ[_FOLDER_VARIABLE] = str(shared_folder)
            values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
        else:
            values.ValueClass = values.MutexValue
        own = self._registry = CollectorRegistry()
        if shared_folder is None:
            ProcessCollector(namespace="esmm_serving", registry=own)
        self.requests = Counter("esmm_serving_requests", "Requests answered", ["path", "status"], registry=own)
        self.duration = _seconds("request_duration", "From a request's headers to the end of its answer", own, "path")
        self.impressions = Counter("esmm_serving_impressions", "Impressions scored", registry=own)
        self.users = Counter("esmm_serving_users", "Users of the impressions scored", registry=own)
        self.batch_requests = _numbers("batch_requests", "Requests computed together", own)
        self.batch_impressions = _numbers("batch_impressions", "Impressions computed together", own)
        self.queue_wait = _seconds("queue_wait", "From the last byte of a request until its reading begins", own)
        self.stages = Counter(
            "esmm_serving_stage_seconds", "Seconds of the computing thread: read, score, write", ["stage"], registry=own
        )
        self.values = Counter("esmm_serving_values", "Values of a field in requests", ["field"], registry=own)
        self.unknown = Counter(
            "esmm_serving_unknown_ids", "Values of a field whose ids the model has no row of", ["field"], registry=own
        )
        self.dropped = Counter(
            "esmm_serving_dropped", "Requests and connections given up, by reason", ["reason"], registry=own
        )
        self.errors = Counter(
            "esmm_serving_internal_errors", "Errors of the server (status 500)", ["kind"], registry=own
        )
        self.in_flight = Gauge(
            "esmm_serving_in_flight_requests",
            "Requests that are being read, wait or are computed",
            registry=own,
            multiprocess_mode="livesum",
        )
        self.loads = Counter("esmm_serving_model_loads", "Versions that were loaded, or not", ["outcome"], registry=own)
        self.version = _newest("model_version", "Number of the version that answers", own)
        self.step = _newest("model_step", "Step of the training that the version is of", own)
        self.loaded_at = _newest("model_loaded_timestamp_seconds", "When the version was loaded, in Unix time", own)

        self._values_of, self._unknown_of = _ByLabel(self.values), _ByLabel(self.unknown)
        self._time_of = _ByLabel(self.stages)

    def count_values(self, numbers: Mapping[str, int], unknown: Mapping[str, int]) -> None:
        """Count the values of a batch by field, and those of unknown ids among them."""
        for field, number in numbers.items():
            self._values_of[field].inc(number)
        for field, number in unknown.items():
            self._unknown_of[field].inc(number)

    def took(self, stage: Stage, seconds: float) -> None:
        """Count time of the computing thread."""
        self._time_of[stage].inc(seconds)

    def text(self) -> bytes:
        """Return the figures, those of all processes together, in Prometheus' text format."""
        if self._shared_folder is None:
            return generate_latest(self._registry)
        return figures_of(self._shared_folder)


class _ByLabel(dict[str, Counter]):
    """The parts of a counter by their label, which ``labels`` takes several times as long to find."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    def __missing__(self, label: str) -> Counter:
        found = self[label] = self._counter.labels(label)
        return found


def figures_of(shared_folder: Path) -> bytes:
    """Return the figures of all processes that share a folder, in Prometheus' text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(shared_folder))  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def forget_process(shared_folder: Path, pid: int) -> None:
    """Take the gauges of a process that has ended out of the sums."""
    mark_process_dead(pid, path=str(shared_folder))  # type: ignore[no-untyped-call]


def _seconds(name: str, text: str, registry: CollectorRegistry, *labels: str) -> Histogram:
    return Histogram(f"esmm_serving_{name}_seconds", text, labels, registry=registry, buckets=_SECONDS)


def _numbers(name: str, text: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(f"esmm_serving_{name}", text, registry=registry, buckets=_NUMBERS)


def _newest(name: str, text: str, registry: CollectorRegistry) -> Gauge:
    return Gauge(f"esmm_serving_{name}", text, registry=registry, multiprocess_mode="livemostrecent")
