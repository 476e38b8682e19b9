"""The driver of an elastic run: ranks from agents, over and over, until the training is done or cannot go on.

::

    agents ──status──> AgentWatch ──hosts──> Ranks (Horovod's ElasticDriver) ──start, stop──> agents
                           └── events ──> Journal ──> RUN/events.jsonl, RUN/status.json

When the ranks can meet no more (all were lost, or Horovod gave up), the next life begins with the last checkpoint.
"""

import contextlib
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from esmm_dist.errors import EsmmError, RetryError, StorageError
from esmm_dist.escaped import one_line
from esmm_dist.progress import Progress
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.secret_file import read_token
from launcher.agent.tls import driver_tls
from launcher.driver.agents import AgentDirectory, AgentView, AgentWatch, FileDirectory
from launcher.driver.config import DriverConfig
from launcher.driver.heartbeat import Beat, write_beat
from launcher.driver.journal import Journal
from launcher.driver.ranks import SILENT_S, Ranks, stopped_at_end
from launcher.driver.server_watch import ServerWatch
from launcher.run_files.run_status import RunStatus, WorkerStatus, write_status

WRITE_S, WRITE_REMOTE_S = 0.5, 5.0
"""Seconds between two writings of the status, on a local disk and in an object store."""

START_PATIENCE_S = 20.0
"""With the least number of workers ready, those that are still missing have so long before training starts."""

TAKE_OVER_S = 30.0
"""Workers of a driver before this one have so long to save and end."""

MOST_DEATHS = 6
"""Losses of one worker in a row without a step of anybody between them: then something kills each that comes."""

RATE_S = 10.0


class DriverError(EsmmError):
    """The training cannot go on."""


@dataclass(frozen=True, kw_only=True)
class DriverResult:
    """How a run ended."""

    state: str
    """``done``, or ``stopped``: resumable."""
    step: int
    total_steps: int
    restarts: Mapping[str, int]


class Publisher(Protocol):
    """Tells others how the run is, and may ask it to stop."""

    def begin(self, source: Any) -> None:
        """Begin; ``source`` has ``status``, ``event_lines`` and ``finish``, for any thread."""

    def close(self) -> None:
        """The status is the last one."""


def drive(
    config: DriverConfig,
    progress: Progress,
    *,
    directory: AgentDirectory | None = None,
    publisher: Publisher | None = None,
) -> DriverResult:
    """Drive a run to its end, or until SIGINT (all workers save and end). SIGTERM ends this process alone, at once.

    Args:
        config: The run, its servers and its bounds.
        progress: Gets messages.
        directory: Knows the agents; None: ``config.agents_file`` does.
        publisher: Runs beside the driver.

    Raises:
        DriverError: The training cannot go on.
        EsmmError: A setting is wrong, or the run's folder cannot be written.
    """
    if directory is None:
        assert config.agents_file is not None
        directory = FileDirectory(config.agents_file)
    with _Driver(config, progress, directory, publisher) as driver:
        return driver.run()


class _Driver:
    """One driver process. The main thread sees to the ranks; others watch agents and servers, and write the status."""

    def __init__(
        self, config: DriverConfig, progress: Progress, directory: AgentDirectory, publisher: Publisher | None
    ) -> None:
        self._config, self._progress, self._publisher = config, progress, publisher
        self._run = Folder.open(config.run)
        self._run.make()
        self._journal = Journal(self._run, progress)
        self._directory = directory
        token = read_token(config.token_file)
        assert token is not None, "DriverConfig asks for it"
        self._token = token
        self._agents = AgentWatch(
            directory=self._directory,
            token=token,
            on_event=self._on_worker_event,
            tls=driver_tls(config.tls_ca),
        )
        self._servers = ServerWatch(config, self._on_server_restart)
        self._starts: dict[str, int] = {}
        self._ranks: Ranks | None = None
        self._finish = threading.Event()
        self._ended = threading.Event()
        self._state = "starting"
        self._error = ""
        self._fatal = ""
        self._deaths: Counter[str] = Counter()
        self._step = self._best_step = self._total_steps = 0
        self._rates: deque[tuple[float, int]] = deque()
        self._looking = threading.Lock()
        self._started_at = time.time()
        self._writer = threading.Thread(target=self._write_over_and_over, name="status", daemon=True)
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "_Driver":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._on_signal)
        self._agents.start()
        self._servers.start()
        self._writer.start()
        if self._publisher is not None:
            self._publisher.begin(self)
        return self

    def __exit__(self, *args: object) -> None:
        self._ended.set()
        self._writer.join()
        self._agents.close()
        self._servers.close()
        self._write()
        self._journal.publish(now=True)
        if self._publisher is not None:
            self._publisher.close()
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def finish(self) -> None:
        """Have all workers save and end, and then this driver."""
        self._finish.set()

    def event_lines(self, most: int) -> Sequence[str]:
        """Return the newest events, each a line of JSON."""
        return self._journal.newest(most)

    def run(self) -> DriverResult:
        """See ``drive``."""
        self._journal.add("driver_started", pid=os.getpid())
        try:
            self._take_over()
            lives = 0
            while not self._finish.is_set():
                if lives:
                    self._journal.add("all_restarted", step=self._step)
                    self._progress.message("All workers have ended; they start again from the last checkpoint.")
                if self._one_life():
                    break
                lives += 1
            self._state = "stopped" if self._step < self._total_steps or not self._total_steps else "done"
        except EsmmError as e:
            # Whoever publishes it also tries again where that may help
            again = self._publisher is not None and isinstance(e, RetryError)
            self._state, self._error = "starting" if again else "failed", str(e)
            self._journal.add("failed", error=str(e))
            raise
        self._journal.add(self._state, step=self._step)
        return DriverResult(
            state=self._state, step=self._step, total_steps=self._total_steps, restarts=dict(self._journal.restarts)
        )

    def _take_over(self) -> None:
        """End the workers of a driver before this one: they save first, if they can."""
        deadline = time.monotonic() + TAKE_OVER_S
        self._settle()
        told: set[tuple[str, int]] = set()
        while running := [v for v in self._agents.views.values() if v.status is not None and v.status.running]:
            late = time.monotonic() >= deadline
            for view in running:
                assert view.status is not None
                assert view.status.id is not None
                if late or (view.name, view.status.id) not in told:
                    self._stop(view, "kill" if late else "finish", "another driver has taken over")
                    told.add((view.name, view.status.id))
            time.sleep(0.2)
        if told:
            self._journal.add("driver_lost", workers=len(told))
            self._progress.message(f"Took over from a driver before; {len(told)} workers have saved and start again.")

    def _settle(self) -> None:
        """Wait until every agent has said something, or cannot."""
        deadline = time.monotonic() + SILENT_S
        while time.monotonic() < deadline:
            views = self._agents.views.values()
            if views and all(view.status is not None for view in views):
                return
            if self._finish.wait(0.1):
                return

    def _one_life(self) -> bool:
        """Start ranks and see to them until they have ended; return whether the run has come to its end."""
        num_ranks = self._wait_for_agents()
        if num_ranks == 0:
            return True  # asked to stop before anything was started
        config = self._config
        ranks = Ranks(
            self._agents,
            token=self._token,
            host=config.host,
            interface=config.interface,
            min_workers=config.min_workers,
            max_workers=config.max_workers,
            stall_seconds=config.stall_seconds,
            on_end=self._on_worker_end,
            on_start=self._on_worker_start,
        )
        with stopped_at_end(ranks):
            self._ranks, self._state = ranks, "running"
            ranks.start(num_ranks)
            told: set[str] = set()
            while (not ranks.finished or ranks.running) and not ranks.hopeless:
                if self._fatal or ranks.fatal:
                    raise DriverError(self._fatal or ranks.fatal or "")
                if self._finish.is_set():
                    self._state = "stopping"
                    ranks.close()
                    self._finish_workers(ranks, told)
                    if not ranks.running:
                        break
                time.sleep(0.1)
            if self._fatal or ranks.fatal:
                raise DriverError(self._fatal or ranks.fatal or "")
            return ranks.all_done

    def _wait_for_agents(self) -> int:
        """Wait for agents that are ready; return how many ranks to start with."""
        config, enough_since = self._config, None
        while not self._finish.is_set():
            ready = sum(
                view.status is not None and view.status.state == "ready" and not view.status.draining
                for view in self._agents.views.values()
            )
            self._check_warming()
            if ready >= min(max(self._directory.wanted(), config.min_workers), config.max_workers):
                return min(ready, config.max_workers)
            if ready < config.min_workers:
                enough_since = None
            elif enough_since is None:
                enough_since = time.monotonic()
            elif time.monotonic() >= enough_since + START_PATIENCE_S:
                return min(ready, config.max_workers)
            time.sleep(0.1)
        return 0

    def _check_warming(self) -> None:
        """Say in the status which workers do not get ready."""
        problems = [
            f"{view.name} does not get ready: {view.status.warm_error}"
            for view in self._agents.views.values()
            if view.status is not None and view.status.warm_error
        ]
        if trouble := self._directory.trouble():
            problems.append(trouble)
        self._error = "; ".join(problems)

    def _finish_workers(self, ranks: Ranks, told: set[str]) -> None:
        for name in ranks.running:
            view = self._agents.views.get(name)
            if name not in told and view is not None and view.status is not None and view.status.running:
                told.add(name)
                self._stop(view, "finish", "the training stops")

    def _stop(self, view: AgentView, how: Any, reason: str) -> None:
        if view.status is not None and view.status.id is not None:
            with contextlib.suppress(RetryError):
                view.client.stop(view.status.id, how=how, reason=reason)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            # The workers train on, and the next driver takes over: nothing here is needed for that
            os._exit(128 + number)
        self.finish()

    def _on_server_restart(self, index: int) -> None:
        self._journal.add("server_lost", server=index, step=self._step)
        self._progress.message(f"server {index} was started again; its rows come from the last checkpoint.")

    def _on_worker_start(self, name: str, facts: Mapping[str, Any]) -> None:
        self._starts[name] = self._starts.get(name, 0) + 1
        self._journal.add("worker_started", worker=name, **facts)

    def _on_worker_end(self, event: str, name: str, facts: Mapping[str, Any]) -> None:
        """Note that a worker has ended other than well; in a thread of ``Ranks``."""
        if self._state == "stopping":
            return
        self._journal.add(event, worker=name, step=self._step, **facts)
        self._progress.message(one_line(f"{name}: {event.replace('_', ' ')} ({facts.get('reason', '')})"))
        if event != "worker_left":
            self._deaths[name] += 1
            if self._deaths[name] >= MOST_DEATHS:
                reason = facts.get("reason", "")
                self._fatal = f"{name} was lost {MOST_DEATHS} times without a step in between; the last time: {reason}"

    def _on_worker_event(self, name: str, instance: str, event: Mapping[str, Any]) -> None:
        """Note what a worker tells; in the thread of the watch."""
        if not self._journal.add_of_worker(name, instance, event):
            return
        if event["event"] == "failed" and event.get("gives_up"):
            self._fatal = self._fatal or str(event.get("error", ""))

    def _write_over_and_over(self) -> None:
        last = 0.0
        while not self._ended.wait(0.5):
            self._look()
            if self._config.beat_file is not None:
                now = time.monotonic()
                write_beat(
                    Path(self._config.beat_file),
                    Beat(
                        state=self._state,
                        silent_servers={s.index: s.silent_s for s in self._servers.read()},
                        silent_agents={v.name: round(v.silent_s(now), 1) for v in self._agents.views.values()},
                    ),
                )
            if time.monotonic() >= last + (WRITE_S if self._run.is_local else WRITE_REMOTE_S):
                last = time.monotonic()
                self._write()
                self._journal.publish()

    def _look(self) -> None:
        """Take the newest facts of the workers; from any thread."""
        with self._looking:
            for view in self._agents.views.values():
                if view.status is not None and view.status.running:
                    self._take(view.status.facts)

    def _take(self, facts: Mapping[str, Any]) -> None:
        self._total_steps = int(facts.get("total_steps", self._total_steps))
        if facts.get("rank") != 0:
            return
        self._step = int(facts.get("step", self._step) or 0)
        if self._step > self._best_step:
            self._best_step = self._step
            self._deaths.clear()
        if "impressions" in facts:
            point = (time.monotonic(), int(facts["impressions"]))
            if self._rates and point[1] < self._rates[-1][1]:
                self._rates.clear()  # another process counts, or it counts anew
            self._rates.append(point)
            while point[0] - self._rates[0][0] > RATE_S:
                self._rates.popleft()

    def _write(self) -> None:
        try:
            write_status(self._run, self.status())
        except StorageError as e:
            self._progress.message(f"The status cannot be written: {e}")

    def status(self) -> RunStatus:
        """Return the state of the run."""
        workers = [self._worker_status(view) for view in self._agents.views.values()]
        self._look()  # after them, so that the run's step is not older than theirs
        rate = 0.0
        with self._looking:
            if len(self._rates) > 1 and self._state == "running":
                (since, before), (now, impressions) = self._rates[0], self._rates[-1]
                rate = (impressions - before) / max(now - since, 1e-6)
        journal, config = self._journal, self._config
        return RunStatus(
            run=str(self._run),
            state=self._state,
            written_at=time.time(),
            started_at=self._started_at,
            driver_pid=os.getpid(),
            generation=self._servers.generation,
            ranks=sum(worker.state in ("running", "stalled") for worker in workers),
            min_workers=config.min_workers,
            max_workers=config.max_workers,
            wanted_workers=self._directory.wanted(),
            step=self._step,
            total_steps=self._total_steps,
            impressions_per_second=round(rate, 1),
            checkpoint_step=journal.checkpoint[0] if journal.checkpoint else None,
            checkpoint_at=journal.checkpoint[1] if journal.checkpoint else None,
            evaluation=journal.evaluation,
            restarts=dict(journal.restarts),
            undone_steps=journal.undone_steps,
            lost_sparse_steps=journal.lost_sparse_steps,
            repeated_sparse_steps=journal.repeated_sparse_steps,
            rolled_back_steps=journal.rolled_back_steps,
            error=self._error,
            workers=tuple(sorted(workers, key=lambda worker: worker.name)),
            servers=tuple(self._servers.read()),
        )

    def _worker_status(self, view: AgentView) -> WorkerStatus:
        status, facts = view.status, view.status.facts if view.status is not None else {}
        silent = view.silent_s(time.monotonic()) > SILENT_S
        if status is None or silent:
            return WorkerStatus(name=view.name, state="silent" if silent else "starting")
        found = WorkerStatus(
            name=view.name,
            state="draining" if status.draining else status.state,
            starts=self._starts.get(view.name, 0),
        )
        if not status.running:
            return found
        stalled = status.beat_age_s is not None and status.beat_age_s > min(5.0, self._config.stall_seconds / 2)
        return replace(
            found,
            state="stalled" if stalled else found.state,
            pid=status.worker_pid,
            rank=facts.get("rank"),
            phase=str(facts.get("phase", "starting")),
            step=facts.get("step"),
            beat_age_s=None if status.beat_age_s is None else round(status.beat_age_s, 1),
        )
