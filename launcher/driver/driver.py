"""The driver of an elastic run: ranks from agents, over and over, until the training is done or cannot go on.

::

    agents ──status──> AgentWatch ──hosts──> Ranks (Horovod's ElasticDriver) ──start, stop──> agents
                           └──> ObservedRun, EventJournal ──> RUN/status.json, RUN/events.jsonl

When no other rendezvous is possible (all ranks were lost, or Horovod gave up), the next life begins with the last
checkpoint.
"""

import contextlib
import itertools
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

from esmm_dist.errors import EsmmError, RetryError
from esmm_dist.escaped import one_line
from esmm_dist.process.signals import handling
from esmm_dist.progress import Progress
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.secret_file import read_token
from launcher.agent.status import StopMode
from launcher.agent.tls import driver_tls
from launcher.driver.agent_directory import AgentDirectory, FileDirectory
from launcher.driver.agent_watch import SILENT_S, AgentView, AgentWatch
from launcher.driver.config import DriverConfig
from launcher.driver.event_journal import EventJournal
from launcher.driver.observed_run import ObservedRun
from launcher.driver.ranks import Ranks, stopped_at_end
from launcher.driver.server_watch import ServerWatch
from launcher.driver.start_size import StartSize
from launcher.driver.status_writer import StatusWriter
from launcher.driver.take_over import TakeOver
from launcher.run_files.run_status import RunStatus


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
    """Publishes how the run is, and may ask it to stop."""

    def begin(self, source: Any) -> None:
        """Begin; ``source`` has ``status``, ``event_lines`` and ``finish``, for any thread."""

    def close(self) -> None:
        """Publish the last status and end."""


def drive(
    config: DriverConfig,
    progress: Progress,
    *,
    directory: AgentDirectory | None = None,
    publisher: Publisher | None = None,
) -> DriverResult:
    """Drive a run to its end, or until SIGINT (all workers save and end). SIGTERM ends this process alone, at once.

    Args:
        config: the run, its servers and its bounds
        progress: receives messages
        directory: knows the agents; None: ``config.agents_file`` does
        publisher: runs beside the driver

    Raises:
        DriverError: The training cannot go on.
        EsmmError: A setting is wrong, or the run's folder cannot be written.
    """
    if directory is None:
        assert config.agents_file is not None
        directory = FileDirectory(config.agents_file)
    with Driver(config, progress, directory, publisher) as driver:
        return driver.run()


class Driver:
    """One driver process, within its ``with`` block.

    The main thread looks after the ranks; other threads watch agents and servers, and write the status.
    """

    def __init__(
        self, config: DriverConfig, progress: Progress, directory: AgentDirectory, publisher: Publisher | None = None
    ) -> None:
        """Prepare to drive; the arguments are those of ``drive``."""
        self._config, self._progress, self._directory, self._publisher = config, progress, directory, publisher
        run = Folder.open(config.run)
        run.make()
        self._journal = EventJournal(run, progress)
        token = read_token(config.token_file)
        assert token is not None, "DriverConfig asks for it"
        self._token = token
        self._agents = AgentWatch(
            directory=directory, token=token, on_event=self._note_worker_event, tls=driver_tls(config.tls_ca)
        )
        servers = ServerWatch(config, self._note_server_restart)
        self._observed = ObservedRun(run, config, self._agents, servers, self._journal)
        self._writer = StatusWriter(run, self._observed, self._journal, config.beat_file, progress)
        self._servers = servers
        self._finish = threading.Event()
        self._fatal = ""
        self._installed = contextlib.ExitStack()

    def __enter__(self) -> "Driver":
        """Handle signals, and begin to watch and to write."""
        self._installed.enter_context(handling(self._on_signal, (signal.SIGINT, signal.SIGTERM)))
        self._agents.start()
        self._servers.start()
        self._writer.start()
        if self._publisher is not None:
            self._publisher.begin(self)
        return self

    def __exit__(self, *args: object) -> None:
        """Stop watching, and write the last status."""
        self._writer.close()
        self._agents.close()
        self._servers.close()
        self._writer.write()
        self._journal.publish(now=True)
        if self._publisher is not None:
            self._publisher.close()
        self._installed.close()

    def status(self) -> RunStatus:
        """Return the state of the run."""
        return self._observed.status()

    def event_lines(self, most: int) -> Sequence[str]:
        """Return the newest events, each a line of JSON."""
        return self._journal.newest(most)

    def finish(self) -> None:
        """Have all workers save and end, and then this driver."""
        self._finish.set()

    def run(self) -> DriverResult:
        """Drive the run to its end, see ``drive``."""
        observed = self._observed
        self._journal.add("driver_started", pid=os.getpid())
        try:
            self._take_over()
            self._live_on()
            observed.state = "done" if observed.is_done else "stopped"
        except EsmmError as e:
            # Whoever publishes it also tries again where that may help
            again = self._publisher is not None and isinstance(e, RetryError)
            observed.state, observed.error = "starting" if again else "failed", str(e)
            self._journal.add("failed", error=str(e))
            raise
        self._journal.add(observed.state, step=observed.step)
        return DriverResult(
            state=observed.state,
            step=observed.step,
            total_steps=observed.total_steps,
            restarts=self._journal.totals()["restarts"],
        )

    def _live_on(self) -> None:
        """Let one life of the ranks follow the other until the run has come to its end."""
        for life in itertools.count():
            if life and not self._finish.is_set():
                self._journal.add("all_restarted", step=self._observed.step)
                self._progress.message("All workers have ended; they start again from the last checkpoint.")
            if self._finish.is_set() or self._one_life():
                return

    def _take_over(self) -> None:
        """End the workers of an earlier driver."""
        take_over = TakeOver(time.monotonic())
        self._wait_for_first_answers()
        while (stops := take_over.stops(self._agents.views.values(), time.monotonic())) is not None:
            for view, how in stops:
                _stop(view, how, "another driver has taken over")
            time.sleep(0.2)
        if count := take_over.num_workers:
            self._journal.add("driver_lost", workers=count)
            saved = "1 worker saved and starts again" if count == 1 else f"{count} workers saved and start again"
            self._progress.message(f"Took over from an earlier driver; {saved}.")

    def _wait_for_first_answers(self) -> None:
        """Wait until every agent has answered, or cannot."""
        deadline = time.monotonic() + SILENT_S
        while time.monotonic() < deadline:
            views = self._agents.views.values()
            if views and all(view.status is not None for view in views):
                return
            if self._finish.wait(0.1):
                return

    def _one_life(self) -> bool:
        """Start ranks and look after them until they have ended; return whether the run has come to its end."""
        num_ranks = self._wait_for_agents()
        if num_ranks == 0:
            return True  # asked to stop before anything was started
        with stopped_at_end(Ranks(self._agents, self._config, self._token, self)) as ranks:
            self._observed.state = "running"
            ranks.start(num_ranks)
            asked: set[str] = set()
            while (not ranks.finished or ranks.running) and not ranks.hopeless:
                self._check_not_fatal(ranks)
                if self._finish.is_set():
                    self._observed.state = "stopping"
                    ranks.close()
                    self._finish_workers(ranks.running, asked)
                    if not ranks.running:
                        break
                time.sleep(0.1)
            self._check_not_fatal(ranks)
            return ranks.all_done

    def _check_not_fatal(self, ranks: Ranks) -> None:
        if fatal := self._fatal or ranks.fatal:
            raise DriverError(fatal)

    def _wait_for_agents(self) -> int:
        """Wait for agents that are ready; return how many ranks to start with, 0 if the run is to stop."""
        size = StartSize(self._config.min_workers, self._config.max_workers)
        while not self._finish.is_set():
            ready = sum(
                view.status is not None and view.status.state == "ready" and not view.status.draining
                for view in self._agents.views.values()
            )
            self._observed.error = self._observed.warming_problems()
            if (found := size.decide(ready, self._directory.wanted(), time.monotonic())) is not None:
                return found
            time.sleep(0.1)
        return 0

    def _finish_workers(self, running: Sequence[str], asked: set[str]) -> None:
        for name in running:
            view = self._agents.views.get(name)
            if name not in asked and view is not None and view.running is not None:
                asked.add(name)
                _stop(view, "finish", "the training stops")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            # The workers train on, and the next driver takes over: nothing here is needed for that
            os._exit(128 + number)
        self.finish()

    def worker_started(self, name: str, facts: Mapping[str, Any]) -> None:
        """Note a start, in a thread of ``Ranks``."""
        self._observed.starts[name] += 1
        self._journal.add("worker_started", worker=name, **facts)

    def worker_reported(self, facts: Mapping[str, Any]) -> None:
        """Take a worker's last facts, in a thread of ``Ranks``: it may have ended before its last step was read."""
        self._observed.note_facts(facts)

    def worker_ended(self, event: str, name: str, facts: Mapping[str, Any]) -> None:
        """Note a worker's end other than that of the training, in a thread of ``Ranks``."""
        if self._observed.state == "stopping":
            return
        reason = str(facts.get("reason", ""))
        self._journal.add(event, worker=name, step=self._observed.step, **facts)
        self._progress.message(one_line(f"{name}: {event.replace('_', ' ')} ({reason})"))
        if event != "worker_left":
            self._fatal = self._observed.note_loss(name, reason) or self._fatal

    def _note_server_restart(self, index: int) -> None:
        self._journal.add("server_lost", server=index, step=self._observed.step)
        self._progress.message(f"server {index} was started again; its rows come from the last checkpoint.")

    def _note_worker_event(self, name: str, instance: str, event: Mapping[str, Any]) -> None:
        """Note what a worker reports, in a thread of the watch."""
        is_new = self._journal.add_of_worker(name, instance, event)
        if is_new and event["event"] == "failed" and event.get("gives_up"):
            self._fatal = self._fatal or str(event.get("error", ""))


def _stop(view: AgentView, how: StopMode, reason: str) -> None:
    if view.status is not None and view.status.id is not None:
        with contextlib.suppress(RetryError):
            view.client.stop(view.status.id, how=how, reason=reason)
