"""Run processes until their work is done, one of them fails, or a signal asks to stop; leave none behind.

One thread does it all: it waits for pipes, signals and ends at once. So lines are shown whole and in order, and every
process is started by the thread that lives longest, as ``Child`` demands.
"""

import selectors
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from esmm_dist.process.signals import SignalInbox
from launcher.local.screen import Screen
from launcher.processes.child import Child
from launcher.processes.ending import Ending, LocalError
from launcher.processes.process_plan import ProcessPlan

SETTLE_S = 1.0
"""Seconds that the others have to fail by themselves after the first failure: they often tell the cause."""

SAME_KEYPRESS_S = 0.3
"""A second SIGINT that comes earlier is the same Ctrl-C, sent on by a program in between (uv run, timeout)."""

POLL_S = 0.5
"""Longest wait: SIGCHLD ends it when a child ends, but only in the main thread."""


class Supervisor:
    """Processes and what was asked of them.

    Leaving the ``with`` block kills what still runs. Not thread-safe: everything happens in the thread that calls.

    Args:
        screen: shows the lines of all processes
        signals: signals that ask this process to stop
        grace_s: seconds between SIGTERM and SIGKILL
        environment: environment that all processes inherit
        stop_requested: whether somebody has asked for a stop otherwise
        clock: returns the time in seconds
    """

    def __init__(
        self,
        screen: Screen,
        signals: SignalInbox,
        *,
        grace_s: float,
        environment: Mapping[str, str],
        stop_requested: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._screen = screen
        self._signals = signals
        self._grace_s, self._stop_requested = grace_s, stop_requested
        self._environment = environment
        self._clock = clock
        self._children: list[Child] = []
        self._failed_at: float | None = None
        self._stopped_at = 0.0
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals, selectors.EVENT_READ)
        self.endings: list[Ending] = []
        """In the order in which the processes ended."""
        self.stop_signal: signal.Signals | None = None
        """The first stop signal from outside; SIGINT stands for a request in the run."""
        self.killed = False
        """Whether a second Ctrl-C killed everything."""

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill what still runs."""
        for child in self._children:
            child.kill()
        self._selector.close()

    def poll(self, timeout_s: float) -> None:
        """Wait until something happens, at most so many seconds, and deal with all that has happened."""
        self._selector.select(timeout_s)
        for child in self._children:
            self._show(child)
            if child.reap():
                self._show(child, last=True)
                self._note_end(child)
        for number in self._signals.take():
            self._note_stop(number)
        if self.stop_signal is None and self._stop_requested():
            self._note_stop(signal.SIGINT)

    @property
    def stopping(self) -> bool:
        """Whether nothing new should be started: a process failed, or a stop signal came."""
        return self._failed_at is not None or self.stop_signal is not None

    def start(self, plan: ProcessPlan, *, is_server: bool) -> Child:
        """Start a process."""
        child = Child(plan, self._environment, is_server=is_server)
        self._children = [each for each in self._children if each.running]
        self._children.append(child)
        for pipe in child.pipes:
            self._selector.register(pipe, selectors.EVENT_READ, child)
        return child

    def wait_until(self, ready: Callable[[], bool], *, timeout_s: float) -> bool:
        """Watch until ``ready()``; return False if the time is up, a process failed, or a signal asks to stop."""
        give_up = self._clock() + timeout_s
        while not ready():
            if self.stopping or self._clock() >= give_up:
                return False
            self.poll(0.05)
        return True

    def wait_for_workers(self) -> None:
        """Watch until all workers have ended; end them if any process fails."""
        self._end_all(lambda: self._running(servers=False), self._when_to_terminate)

    def stop_servers(self) -> None:
        """Ask the servers to end, and watch until they have."""
        self._end_all(lambda: self._running(servers=True), lambda: 0.0)

    def _end_all(self, running: Callable[[], Sequence[Child]], when: Callable[[], float | None]) -> None:
        """Watch until none is running: SIGTERM to all from the moment ``when()`` on, SIGKILL when the grace is over."""
        terminated_at: float | None = None
        while children := running():
            now, due = self._clock(), when()
            if terminated_at is None and due is not None and now >= due:
                terminated_at = now
                self._tell(children, signal.SIGTERM)
            if terminated_at is not None and now >= terminated_at + self._grace_s:
                self._tell(children, signal.SIGKILL)
            self.poll(min(POLL_S, self._grace_s / 4))

    def _when_to_terminate(self) -> float | None:
        return None if self._failed_at is None else self._failed_at + SETTLE_S

    def _running(self, *, servers: bool) -> list[Child]:
        return [c for c in self._children if c.running and c.is_server == servers]

    def _tell(self, children: Sequence[Child], number: signal.Signals) -> None:
        for child in children:
            child.send(number)

    def _show(self, child: Child, *, last: bool = False) -> None:
        before = set(child.pipes)
        for line in child.close() if last else child.read():
            self._screen.log(child.plan.name, line, leads=child.plan.reports)
        for pipe in before - set(child.pipes):
            self._selector.unregister(pipe)

    def _note_end(self, child: Child) -> None:
        ending = child.ending()
        self.endings.append(ending)
        self._keep_last_words(child)
        if self._failed_at is None and (ending.failed or (ending.interrupted and not child.is_server)):
            self._failed_at = self._clock()

    def _keep_last_words(self, child: Child) -> None:
        """Keep in its log what is shown only when all have ended: its report, and why it failed."""
        for text in (*child.report, child.ending().error):
            if text:
                self._screen.keep(child.plan.name, text)

    def _note_stop(self, number: signal.Signals) -> None:
        workers = self._running(servers=False)
        if self.stop_signal is None:
            self.stop_signal, self._stopped_at = number, self._clock()
            what = "the workers save and stop" if workers else "stopping the servers"
            self._screen.say(f"{number.name}: {what}; Ctrl-C again kills them.")
            self._tell(workers, number)
        elif number == signal.SIGINT and self._clock() >= self._stopped_at + SAME_KEYPRESS_S:
            self.killed = True
            self._tell([c for c in self._children if c.running], signal.SIGKILL)


def not_listening(servers: Sequence[int], timeout_s: float) -> LocalError:
    """Return the error of servers that did not listen in time."""
    named = ", ".join(f"server {index}" for index in servers)
    return LocalError(
        f"{named} did not listen within {timeout_s:g} s. Look at its lines above; on a busy machine give "
        "--start-timeout-s more.",
        1,
    )
