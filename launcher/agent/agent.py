"""The agent: keeps one worker process warm, running, or ending; with a standby another one warm beside it."""

import contextlib
import os
import secrets
import selectors
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace

from esmm_dist.process.signals import SignalInbox
from esmm_dist.progress import Progress
from esmm_dist.ranks.environment import LOCAL_RANK
from launcher.agent.event_log import EventLog
from launcher.agent.last_status import LastStatus
from launcher.agent.next_worker import NextWorker
from launcher.agent.status import AgentState, AgentStatus, StopMode, WorkerRun
from launcher.agent.worker_process import WorkerProcess

POLL_S = 0.5
"""Longest wait of the main loop; everything that it waits for wakes it up earlier."""

STANDBY_AFTER_S = 30.0
"""A standby begins to warm with the first step of the running worker: before that, both would share the CPUs while
other ranks wait for it. If there is none for so many seconds, it is the one that waits, and the CPUs are idle."""

ANOTHER_START = "another start"
"""``killed_by`` of a run that a later start has replaced."""


class StartRefusedError(Exception):
    """A start is not possible now."""


class Agent:
    """Keeps one child: a worker that warms, waits, or runs; with a standby also the next one beside one that runs.

    ``run`` belongs to the main thread, which makes and reaps the children. ``status``, ``start`` and ``stop`` may be
    called from any thread; a lock guards what they share, and signals are sent under it, so that none hits a process
    that was reaped. SIGTERM or SIGINT to this process begin the shutdown: the worker is asked to leave, then killed,
    and ``run`` returns; starts are refused from then on.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        grace_seconds: float,
        progress: Progress,
        standby: bool = False,
        local_rank: int = 0,
    ) -> None:
        """Start nothing yet.

        Args:
            name: name of the worker
            command: words after ``esmm`` that it runs
            grace_seconds: seconds between SIGTERM and SIGKILL
            progress: receives messages about what goes wrong
            standby: whether the next worker warms while one runs, rather than after its end
            local_rank: local rank of the worker
        """
        self._name, self._grace_s, self._progress, self._standby = name, grace_seconds, progress, standby
        self._local_rank = local_rank
        self._instance = secrets.token_hex(8)
        self._lock = threading.RLock()
        self._wakeup = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._worker: WorkerProcess | None = None  # the one that runs
        self._next = NextWorker(name, tuple(command), self._on_warm_failure)
        self._run = WorkerRun()
        self._started_at = 0.0
        self._wanted: tuple[dict[str, str], Future[int]] | None = None
        self._kill_at: tuple[float, str] | None = None
        self._draining = False
        self._events = EventLog()
        self._last_status = LastStatus()

    @property
    def draining(self) -> bool:
        """Return whether this agent is about to end."""
        return self._draining

    def status(self, after: int = 0) -> AgentStatus:
        """Return the state, with the events whose number is above ``after``."""
        with self._lock:
            self._read()
            run, running = self._run, self._worker is not None
            worker = self._worker or self._next.worker
            heartbeat = self._worker.reports.last_heartbeat if self._worker is not None else None
            return AgentStatus(
                **vars(run),
                name=self._name,
                pid=os.getpid(),
                instance=self._instance,
                state=self._state(),
                draining=self._draining,
                running=running,
                worker_pid=None if worker is None else worker.pid,
                beat_age_s=None if heartbeat is None else max(time.monotonic() - heartbeat, 0.0),
                warm_error=self._next.error,
                standby=self._next.state if running else "none",
                events=self._events.after(after),
            )

    def status_was_read(self, status: AgentStatus) -> None:
        """Note that a driver has received it: an agent that ends waits a moment for that."""
        with self._lock:
            self._last_status.note_read(status, time.monotonic())
        if self._last_status.was_read:
            self._wake()

    def start(self, environment: Mapping[str, str]) -> int:
        """Start the worker with these variables; kill the one that runs. Blocks until a worker is warm.

        Returns:
            The id of the run.

        Raises:
            StartRefusedError: The agent is about to end, a worker could not warm, or a later start came.
        """
        answer: Future[int] = Future()
        with self._lock:
            if self._draining:
                raise StartRefusedError(f"{self._name} is about to end and starts nothing. Use another worker.")
            self._refuse_wanted("a later start came. Its sender is the driver now.")
            self._wanted = (dict(environment), answer)
            self._kill(ANOTHER_START)
        self._wake()
        return answer.result()

    def stop(self, run_id: int, how: StopMode, reason: str) -> bool:
        """End a run: at once, or by a signal on which the worker leaves, or all workers save and stop.

        Args:
            run_id: id of the run, as ``start`` returned it
            how: ``kill``: SIGKILL to the worker and all that it has started. ``leave``: SIGTERM, and SIGKILL after
                ``grace_seconds``. ``finish``: SIGINT, without limit
            reason: kept as ``killed_by`` if the worker is killed

        Returns:
            Whether the run was going on; if not, nothing is done.
        """
        with self._lock:
            if self._worker is None or self._run.id != run_id:
                return False
            if how == "kill":
                self._kill(reason)
            elif how == "leave":
                self._leave(reason)
            else:
                self._worker.send(signal.SIGINT)
            return True

    def run(self, signals: SignalInbox) -> None:
        """Keep a worker until SIGTERM or SIGINT; returns when it has ended.

        Args:
            signals: open already, so that a signal that comes early is not lost
        """
        with selectors.DefaultSelector() as selector:
            selector.register(signals, selectors.EVENT_READ)
            selector.register(self._wakeup, selectors.EVENT_READ)
            try:
                while not self._is_over():
                    with self._lock:
                        self._advance()
                    self._wait(selector)
                    if signals.take():
                        with self._lock:
                            self._drain()
            finally:
                with self._lock:
                    self._draining = True
                    for worker in self._workers():
                        worker.kill()
                    self._refuse_wanted("the agent has ended.")

    def _wait(self, selector: selectors.BaseSelector) -> None:
        """Wait until something happens."""
        workers = [worker for worker in self._workers() if worker.reporting]
        for worker in workers:
            selector.register(worker, selectors.EVENT_READ)
        due = self._due()
        selector.select(POLL_S if due is None else min(max(due - time.monotonic(), 0.0), POLL_S))
        for worker in workers:
            selector.unregister(worker)
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wakeup)

    def _workers(self) -> list[WorkerProcess]:
        return [worker for worker in (self._worker, self._next.worker) if worker is not None]

    def _due(self) -> float | None:
        if self._kill_at is not None:
            return self._kill_at[0]
        return self._next.due_at if self._wants_next(time.monotonic()) else None

    def _wants_next(self, now: float) -> bool:
        """Return whether a worker may warm now."""
        if self._draining:
            return False
        if self._worker is None:
            return True
        made_a_step = "impressions" in self._worker.reports.facts
        return self._standby and (made_a_step or now >= self._started_at + STANDBY_AFTER_S)

    def _advance(self) -> None:
        """Do all that can be done now."""
        now = time.monotonic()
        self._read()
        if self._kill_at is not None and now >= self._kill_at[0]:
            self._kill(self._kill_at[1])
        if self._worker is not None and self._worker.reap(now):
            self._end(self._worker, now)
        self._next.advance(now, wanted=self._wants_next(now))
        if self._worker is None and self._wanted is not None:
            self._start_wanted(*self._wanted, now)

    def _start_wanted(self, environment: Mapping[str, str], answer: Future[int], now: float) -> None:
        """Start the next worker if it is ready."""
        worker = self._next.take()
        if worker is None:
            return
        self._wanted = None
        run_id = (self._run.id or 0) + 1
        self._run, self._worker, self._started_at = WorkerRun(id=run_id), worker, now
        worker.reports.last_heartbeat = now
        worker.start({**environment, LOCAL_RANK: str(self._local_rank)})
        answer.set_result(run_id)

    def _read(self) -> None:
        """Take what the workers have reported."""
        self._next.read()
        if self._worker is not None and self._worker.exit_code is None:
            self._worker.read(time.monotonic())
            self._take_reports(self._worker)

    def _take_reports(self, worker: WorkerProcess) -> None:
        reports = worker.reports
        self._run = replace(
            self._run, facts=reports.facts, error=reports.error, exit_status_of_error=reports.exit_status
        )
        self._events.add(self._run.id, reports.take_events())

    def _end(self, worker: WorkerProcess, now: float) -> None:
        """Note how the run has ended."""
        self._take_reports(worker)
        self._run = replace(self._run, exit_code=worker.exit_code)
        self._worker = self._kill_at = None
        self._next.hurry()
        self._last_status.note_end(now)

    def _on_warm_failure(self, error: str, pause_s: float) -> None:
        self._progress.message(f"{error}. Trying again in {pause_s:g} s.")
        self._refuse_wanted(f"{error}. The agent tries again.")

    def _kill(self, reason: str) -> None:
        """Kill the run, if there is one; ``_end`` follows when the kernel has done it."""
        if self._worker is not None:
            self._run = replace(self._run, killed_by=self._run.killed_by or reason)
            self._worker.send(signal.SIGKILL)

    def _leave(self, reason: str) -> None:
        assert self._worker is not None
        self._worker.send(signal.SIGTERM)
        if self._kill_at is None:
            self._kill_at = (
                time.monotonic() + self._grace_s,
                f"{reason} (still running {self._grace_s:g} s after SIGTERM)",
            )

    def _drain(self) -> None:
        """Begin to end; a second signal changes nothing."""
        if self._draining:
            return
        self._draining = True
        self._refuse_wanted("the agent is about to end.")
        self._next.discard()
        if self._worker is not None:
            self._progress.message(f"{self._name} is ending: its worker has {self._grace_s:g} s to leave.")
            self._leave("the agent ends")

    def _is_over(self) -> bool:
        return self._draining and not self._workers() and self._last_status.may_end(time.monotonic())

    def _state(self) -> AgentState:
        if self._draining:
            return "draining"
        if self._worker is not None:
            return "running"
        return "ready" if self._next.state == "ready" else "warming"

    def _refuse_wanted(self, why: str) -> None:
        if self._wanted is not None:
            self._wanted[1].set_exception(StartRefusedError(f"{self._name} did not start: {why}"))
            self._wanted = None

    def _wake(self) -> None:
        os.eventfd_write(self._wakeup, 1)
