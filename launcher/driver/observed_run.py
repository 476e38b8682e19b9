"""What a driver knows of its run: the run's state, its workers and servers, and how far the training is."""

import os
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from esmm_dist.storage.folder import Folder
from launcher.driver.agent_watch import SILENT_S, AgentView, AgentWatch
from launcher.driver.config import DriverConfig
from launcher.driver.event_journal import EventJournal
from launcher.driver.heartbeat import Heartbeat
from launcher.driver.server_watch import ServerWatch
from launcher.driver.training_progress import TrainingProgress
from launcher.run_files.run_status import RunStatus, WorkerStatus

STALLED_S = 5.0
"""A worker without a heartbeat for so long is shown as stalled, or earlier if it would be killed soon after."""


class ObservedRun:
    """Puts together the status of a run. Thread-safe."""

    def __init__(
        self,
        run: Folder,
        config: DriverConfig,
        agents: AgentWatch,
        servers: ServerWatch,
        journal: EventJournal,
    ) -> None:
        self._run, self._config = run, config
        self._agents, self._servers, self._journal = agents, servers, journal
        self._lock = threading.Lock()
        self._training = TrainingProgress()
        self._started_at = time.time()
        self.starts: Counter[str] = Counter()
        """How often each worker was started."""
        self.state = "starting"
        """See ``RunStatus``."""
        self.error = ""
        """What is wrong."""

    @property
    def step(self) -> int:
        """Newest step of the training."""
        return self._training.step

    @property
    def total_steps(self) -> int:
        """Number of steps of the whole training; 0: not known yet."""
        return self._training.total_steps

    @property
    def is_done(self) -> bool:
        """Whether the training has made all its steps."""
        return 0 < self.total_steps <= self.step

    def update(self) -> None:
        """Take the newest facts of the workers."""
        with self._lock:
            for view in self._agents.views.values():
                if view.running is not None:
                    self._training.update(view.running.facts, time.monotonic())

    def note_facts(self, facts: Mapping[str, Any]) -> None:
        """Take the last facts of a worker that has ended."""
        with self._lock:
            self._training.update(facts, time.monotonic())

    def note_loss(self, name: str, reason: str) -> str:
        """Count the loss of a worker; return why the training must give up, empty if it need not."""
        with self._lock:
            return self._training.note_loss(name, reason)

    def status(self) -> RunStatus:
        """Return the state of the run."""
        now, config = time.monotonic(), self._config
        views = self._agents.views.values()
        workers = [worker_status(view, now, config.stall_seconds, self.starts[view.name]) for view in views]
        self.update()  # after them, so that the run's step is not older than theirs
        with self._lock:
            rate = self._training.impressions_per_second if self.state == "running" else 0.0
        return RunStatus(
            run=str(self._run),
            state=self.state,
            written_at=time.time(),
            started_at=self._started_at,
            driver_pid=os.getpid(),
            generation=self._servers.generation,
            ranks=sum(worker.state in ("running", "stalled") for worker in workers),
            min_workers=config.min_workers,
            max_workers=config.max_workers,
            wanted_workers=self._agents.directory.wanted(),
            step=self.step,
            total_steps=self.total_steps,
            impressions_per_second=round(rate, 1),
            error=self.error,
            workers=tuple(sorted(workers, key=lambda worker: worker.name)),
            servers=tuple(self._servers.read()),
            **self._journal.totals(),
        )

    def heartbeat(self) -> Heartbeat:
        """Return how long agents and servers have been silent."""
        now = time.monotonic()
        return Heartbeat(
            state=self.state,
            silent_servers={server.index: server.silent_s for server in self._servers.read()},
            silent_agents={view.name: round(view.silent_s(now), 1) for view in self._agents.views.values()},
        )

    def warming_problems(self) -> str:
        """Return which workers cannot get ready, and why; empty if all can."""
        problems = [
            f"{view.name} cannot get ready: {view.status.warm_error}"
            for view in self._agents.views.values()
            if view.status is not None and view.status.warm_error
        ]
        return "; ".join([*problems, *filter(None, [self._agents.directory.trouble()])])


def worker_status(view: AgentView, now: float, stall_seconds: float, starts: int) -> WorkerStatus:
    """Return a worker's part of the run's status.

    Args:
        view: its agent
        now: monotonic seconds
        stall_seconds: seconds without a heartbeat after which it is killed
        starts: how often it was started
    """
    status, is_silent = view.status, view.silent_s(now) > SILENT_S
    if status is None or is_silent:
        return WorkerStatus(name=view.name, state="silent" if is_silent else "starting")
    found = WorkerStatus(name=view.name, state="draining" if status.draining else status.state, starts=starts)
    if not status.running:
        return found
    beat_age_s, facts = status.beat_age_s, status.facts
    is_stalled = beat_age_s is not None and beat_age_s > min(STALLED_S, stall_seconds / 2)
    return replace(
        found,
        state="stalled" if is_stalled else found.state,
        pid=status.worker_pid,
        rank=facts.get("rank"),
        phase=str(facts.get("phase", "starting")),
        step=facts.get("step"),
        beat_age_s=None if beat_age_s is None else round(beat_age_s, 1),
    )
