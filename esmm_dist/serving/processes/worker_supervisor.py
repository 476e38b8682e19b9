"""Keeps the worker processes of a server running, and takes them from one version to the next."""

import select
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from esmm_dist.errors import StackError
from esmm_dist.process.signals import SignalInbox
from esmm_dist.serving.config import ServeConfig
from esmm_dist.serving.metrics import ServingMetrics, forget_process
from esmm_dist.serving.processes.worker import Worker, how_it_ended
from esmm_dist.serving.versions.offered_version import OfferedVersion
from esmm_dist.serving.versions.version_thread import VersionThread

_LONGEST_WAIT_S = 1.0

MOST_DEATHS = 2
"""Workers that end while they load a version until it is refused: one may have been killed for another reason."""

_GRACE_S = 5.0
"""Beyond the time that a worker may take to drain and to answer what it has begun."""


class SupervisorReport(Protocol):
    """Receives what happens."""

    def message(self, text: str) -> None:
        """Receive a line."""

    def version_taken(self, version: OfferedVersion, facts: Mapping[str, Any]) -> None:
        """Receive a version that the first worker has put into service, and what it says of it."""


class WorkerSupervisor:
    """Runs the workers until a signal. Use it in the main thread.

    A new version is loaded by one worker first, which checks its files and asks it the requests of ``golden.json``.
    Only when that one answers with it, the others load it, so that one worker at most is at work on a version that is
    refused. A worker that is started again loads the version in service before it takes connections, unless there is
    no other to take them.
    """

    def __init__(
        self,
        config: ServeConfig,
        listening: socket.socket,
        versions: VersionThread,
        counts: Path,
        report: SupervisorReport,
    ) -> None:
        """Start no process yet.

        Args:
            config: settings
            listening: socket that listens
            versions: finds versions
            counts: empty folder in which all processes count together
            report: receives what happens
        """
        self._config, self._versions, self._report = config, versions, report
        self._listening = listening
        self._counts, self._metrics = counts, ServingMetrics(counts)
        self._workers = [Worker(index, config, listening, counts) for index in range(config.workers)]
        self._offered: OfferedVersion | None = None
        self._in_service: OfferedVersion | None = None
        self._deaths = 0
        self._reason = "no version of the model has been loaded yet"
        self._stopping = False
        self.taken = self.refused = 0

    @property
    def restarts(self) -> int:
        """Return how many processes were started in the place of others."""
        return sum(max(0, worker.restarts.starts - 1) for worker in self._workers)

    def figures(self) -> bytes:
        """Return the figures of all processes, in Prometheus' text format. From any thread."""
        return self._metrics.text()

    def why_not_ready(self) -> str:
        """Return why no worker answers requests, in a sentence; empty: one does. From any thread."""
        if self._stopping:
            return "the server is stopping"
        return "" if any(worker.answers for worker in self._workers) else self._reason

    def run(self, signals: SignalInbox) -> signal.Signals:
        """Answer until a signal asks to stop; return it.

        Raises:
            StackError: a worker ends at once whenever it is started
        """
        try:
            while True:
                self._start_due()
                self._advance()
                self._wait(signals)
                if stops := signals.take():
                    self._report.message(f"Stopping on {stops[0].name}: requests that have begun are answered first")
                    self._drain(signals, stops[0])
                    return stops[0]
                self._read_versions()
                for worker in self._workers:
                    self._reap(worker)
        finally:
            self._kill()

    def _wait(self, signals: SignalInbox) -> None:
        channels = {w.channel.fileno(): w for w in self._workers if w.channel is not None and not w.channel.ended}
        now = time.monotonic()
        dues = [w.restarts.due_s - now for w in self._workers if w.process is None]
        timeout_s = max(0.0, min([_LONGEST_WAIT_S, *dues]))
        readable, _, _ = select.select([signals.fileno(), self._versions.fileno(), *channels], [], [], timeout_s)
        for number in readable:
            if worker := channels.get(number):
                self._read(worker)

    def _start_due(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is None and now >= worker.restarts.due_s:
                worker.start()

    def _advance(self) -> None:
        """Give each worker that has nothing to do what it is to do next."""
        started = [worker for worker in self._workers if worker.started]
        if started and not any(worker.serving for worker in self._workers):
            started[0].serve()
            started[0].wait_for(self._reason)
        idle = [worker for worker in started if worker.idle]
        if self._in_service is not None:
            for worker in idle:
                if worker.version is None or (worker.version != self._in_service):
                    worker.load(self._in_service, check=False)
            idle = [worker for worker in idle if worker.idle]
        offered = self._offered
        if offered is None or any(worker.loading == offered for worker in self._workers):
            return
        if lead := next((w for w in idle if w.serving), None):
            lead.load(offered, check=True)

    def _read_versions(self) -> None:
        for event in self._versions.take():
            if event.text:
                goes_on = (
                    f" Version {self._in_service.name} stays."
                    if self._in_service and (event.is_refusal or event.reason)
                    else ""
                )
                self._report.message(event.text + goes_on)
            if event.is_refusal:
                self._count_refusal()
            if event.offered is not None:
                self._offered, self._deaths = event.offered, 0
            if event.reason:
                self._reason = event.reason
                for worker in self._workers:
                    worker.wait_for(event.reason)

    def _read(self, worker: Worker) -> None:
        assert worker.channel is not None
        for message in worker.channel.receive():
            match message["is"]:
                case "started":
                    worker.started = True
                case "message":
                    self._report.message(f"worker {worker.index}: {message['text']}")
                case "taken":
                    self._note_taken(worker, message)
                case "refused":
                    self._note_refused(worker, str(message["reason"]))

    def _note_taken(self, worker: Worker, message: dict[str, object]) -> None:
        worker.version, worker.loading = worker.loading, None
        worker.serve()
        if worker.version is not None and worker.version == self._offered:
            self._in_service, self._offered = worker.version, None
            self.taken += 1
            self._metrics.loads.labels("taken").inc()
            self._versions.settle(worker.version, taken=True)
            self._report.version_taken(worker.version, message)

    def _note_refused(self, worker: Worker, reason: str) -> None:
        version, worker.loading = worker.loading, None
        assert version is not None
        if version == self._offered:
            self._refuse(version, reason)
            return
        self._report.message(f"worker {worker.index} cannot load version {version.name} again: {reason}")
        if not any(other.version == version for other in self._workers):
            self._in_service = None
            self._versions.forget()
        else:
            worker.stop(at_once=False)  # a new process tries again

    def _refuse(self, version: OfferedVersion, reason: str) -> None:
        self._offered = None
        self._count_refusal()
        self._versions.settle(version, taken=False)
        goes_on = f"version {self._in_service.name} stays" if self._in_service else "there is none to answer with"
        self._report.message(
            f"Version {version.name} is refused, and {goes_on}: {reason} It is tried again when its files change."
        )

    def _count_refusal(self) -> None:
        self.refused += 1
        self._metrics.loads.labels("refused").inc()

    def _reap(self, worker: Worker) -> None:
        loading, pid = worker.loading, worker.pid
        status = worker.reap()
        if status is None:
            return
        forget_process(self._counts, pid)
        how = how_it_ended(status)
        if worker.restarts.will_not_run:
            raise StackError(
                f"worker {worker.index} {how}, as {worker.restarts.quick_ends - 1} before it did soon after their "
                "start. What it wrote stands above; the server ends."
            )
        self._report.message(f"worker {worker.index} (process {pid}) {how}. It is started again.")
        if loading is not None and loading == self._offered:
            self._deaths += 1
            if self._deaths >= MOST_DEATHS:
                self._refuse(loading, f"{self._deaths} workers have ended while they loaded it (the last {how}).")

    def _drain(self, signals: SignalInbox, first: signal.Signals) -> None:
        """Have all workers answer what they have begun. A second signal leaves out their wait, a third ends them."""
        self._stopping = True
        # The workers hold it, too: with their end new connections are refused, in place of waiting in vain
        self._listening.close()
        for worker in self._workers:
            worker.stop(at_once=first == signal.SIGINT)
        give_up_s = time.monotonic() + self._config.drain_s + self._config.timeout_ms / 1000 + _GRACE_S
        more = 0
        while any(_runs(self._workers)) and time.monotonic() < give_up_s and more < 2:
            select.select([signals], [], [], 0.2)
            if signals.take():
                more += 1
                for worker in self._workers:
                    worker.stop(at_once=True)

    def _kill(self) -> None:
        for worker in self._workers:
            worker.signal(signal.SIGKILL)
            if worker.process is not None:
                worker.process.wait()
            worker.reap()


def _runs(workers: Sequence[Worker]) -> list[bool]:
    return [worker.process is not None and worker.process.poll() is None for worker in workers]
