"""One thread that computes, and the requests that wait for it: those that wait are computed together.

While one batch is computed, requests arrive; then all that wait are taken together, up to a number of impressions. An
idle server so computes each request at once, and a busy one shares the fixed costs of a batch among as many requests as
the load brings: no delay is added, unless ``wait_ms`` asks for one.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from esmm_dist.arrays import F32
from esmm_dist.serving.metrics import ServingMetrics, Stage
from esmm_dist.serving.requests.asked_request import AskedRequest, RequestForm, joined, split_scores
from esmm_dist.serving.requests.value_counts import value_counts
from esmm_dist.serving.scoring.snapshot import Snapshot

_log = logging.getLogger("esmm.serve")


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What became of a request that was computed."""

    asked: AskedRequest
    scores: dict[str, F32]
    """The columns of predictions, float32 [B]."""
    snapshot: Snapshot


class AnswersRequest(Protocol):
    """Reads one request, and writes its answer."""

    @property
    def form(self) -> RequestForm:
        """Form of the request, once it is read."""

    def read(self, snapshot: Snapshot) -> AskedRequest:
        """Return what is asked of a version, or raise what is wrong with the request."""

    def write(self, scored: Scored) -> Any:
        """Return the answer."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Waiting:
    """A request on its way to the computing thread."""

    work: AnswersRequest
    snapshot: Snapshot
    due_at: float
    """When nobody waits any more, by ``time.monotonic``."""
    came_at: float = field(default_factory=time.monotonic)
    answer: "Future[Any]" = field(default_factory=Future)
    """Gets what the form writes, or the error. Cancelled: nobody waits for it."""


class Batching:
    """Computes requests in a thread of its own.

    Ownership: ``ask`` may be called from any thread; the forms and the scorer run in the computing thread
    alone. Shutdown: ``close`` computes what waits, then ends the thread; a second call is harmless.
    """

    def __init__(self, *, max_impressions: int, wait_ms: float, metrics: ServingMetrics) -> None:
        """Start the thread.

        Args:
            max_impressions: most impressions of a batch; a single request may have more
            wait_ms: milliseconds that the first request of a batch waits for others; 0: none
            metrics: counts
        """
        self._max_impressions, self._wait_s, self._metrics = max_impressions, wait_ms / 1000, metrics
        self._waiting: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="scoring", daemon=True)
        self._thread.start()

    def ask(self, request: Waiting) -> None:
        """Let a request wait for its turn; its ``answer`` is set in the computing thread."""
        with self._changed:
            if self._closed:
                raise RuntimeError("the computing thread has ended")
            self._waiting.append(request)
            self._changed.notify()

    def close(self) -> None:
        """Compute what waits, then end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            if batch:
                self._compute(batch)

    def _next_batch(self) -> list[tuple[Waiting, AskedRequest]] | None:
        """Return requests of one version that are read, the oldest first; None: it is the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            if self._wait_s:
                first = self._waiting[0].came_at
                self._changed.wait_for(lambda: self._closed, max(first + self._wait_s - time.monotonic(), 0.0))
        batch: list[tuple[Waiting, AskedRequest]] = []
        impressions = 0
        while impressions < self._max_impressions:
            with self._changed:
                if not self._waiting or (batch and self._waiting[0].snapshot is not batch[0][0].snapshot):
                    break
                request = self._waiting.popleft()
            if (asked := self._read(request)) is not None:
                batch.append((request, asked))
                impressions += asked.batch.num_impressions
        return batch

    def _read(self, request: Waiting) -> AskedRequest | None:
        """Return what a request asks; None: nobody waits for it, or it is wrong."""
        began_at = time.monotonic()
        if began_at > request.due_at:
            self._metrics.dropped.labels("timeout").inc()
            request.answer.cancel()
            return None
        if request.answer.cancelled():
            self._metrics.dropped.labels("client_gone").inc()
            return None
        self._metrics.queue_wait.observe(began_at - request.came_at)
        try:
            return request.work.read(request.snapshot)
        except BaseException as e:
            _fail(request, e)
            return None
        finally:
            self._took("read", began_at)

    def _compute(self, batch: Sequence[tuple[Waiting, AskedRequest]]) -> None:
        began_at = time.monotonic()
        asked = [each for _, each in batch]
        try:
            scores = batch[0][0].snapshot.scorer.score(joined(asked), [each.found for each in asked])
        except BaseException as e:
            if len(batch) == 1:
                _fail(batch[0][0], e)
                return
            # One of them is at fault, and the others shall not suffer from it
            _log.warning("%d requests that failed together are computed one by one", len(batch))
            for alone in batch:
                self._compute([alone])
            return
        self._took("score", began_at)
        began_at = time.monotonic()
        for (request, each), columns in zip(batch, split_scores(scores, asked), strict=True):
            try:
                answer = request.work.write(Scored(asked=each, scores=columns, snapshot=request.snapshot))
            except BaseException as e:
                _fail(request, e)
            else:
                _settle(request, answer)
        self._took("write", began_at)
        self._count(batch)

    def _took(self, stage: Stage, began_at: float) -> None:
        self._metrics.took(stage, time.monotonic() - began_at)

    def _count(self, batch: Sequence[tuple[Waiting, AskedRequest]]) -> None:
        schema = batch[0][0].snapshot.scorer.model.manifest.schema
        values: Counter[str] = Counter()
        unknown: Counter[str] = Counter()
        for request, asked in batch:
            values.update(value_counts(request.work.form, asked, schema))
            unknown.update(asked.unknown)
        impressions = sum(asked.batch.num_impressions for _, asked in batch)
        self._metrics.batch_requests.observe(len(batch))
        self._metrics.batch_impressions.observe(impressions)
        self._metrics.impressions.inc(impressions)
        self._metrics.users.inc(sum(asked.batch.num_groups for _, asked in batch))
        self._metrics.count_values(values, unknown)


def _settle(request: Waiting, answer: Any) -> None:
    if request.answer.set_running_or_notify_cancel():
        request.answer.set_result(answer)


def _fail(request: Waiting, error: BaseException) -> None:
    if request.answer.set_running_or_notify_cancel():
        request.answer.set_exception(error)
