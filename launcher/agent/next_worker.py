"""The worker that is started next: it warms, is tried again if that fails, and waits."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Literal

from launcher.agent.worker_process import WorkerProcess

WARM_S = 300.0
"""A worker that has not imported everything by then hangs, and is replaced. A busy machine takes half a minute."""

BACK_OFF_S = (0.5, 30.0)
"""First and longest pause after a worker that could not warm; each is twice the one before."""


class NextWorker:
    """Keeps one worker warming or warm, from when it is wanted until it is taken.

    Not thread-safe: the agent's lock guards it. ``advance`` belongs to the main thread, see ``WorkerProcess``.
    """

    def __init__(self, name: str, command: Sequence[str], on_failure: Callable[[str, float], None]) -> None:
        """Make nothing yet.

        Args:
            name: name of the worker
            command: words after ``esmm`` that it will run
            on_failure: receives why it could not get ready, and the seconds until the next try
        """
        self._name, self._command, self._on_failure = name, command, on_failure
        self.worker: WorkerProcess | None = None
        """The process; None before it is wanted, after it was taken, and in the pause after a failure."""
        self.error: str | None = None
        """Why the last attempt failed; None once one is ready."""
        self._failures = 0
        self._due_at = 0.0

    @property
    def state(self) -> Literal["none", "warming", "ready"]:
        """Return how far the process is."""
        if self.worker is None:
            return "none"
        return "ready" if self.worker.reports.ready else "warming"

    @property
    def due_at(self) -> float | None:
        """Return when ``advance`` makes a process; None while there is one."""
        return self._due_at if self.worker is None else None

    def advance(self, now: float, *, wanted: bool) -> None:
        """Do all that can be done now: notice its end, make another one, give up on one that hangs.

        Args:
            now: monotonic seconds
            wanted: whether to make a process if there is none
        """
        if self.worker is not None and self.worker.reap(now):
            self._note_end(self.worker, now, again=wanted)
        if self.worker is None:
            if wanted and now >= self._due_at:
                self.worker = WorkerProcess(self._command, os.environ, now)
        elif not self.worker.reports.ready and now >= self.worker.born + WARM_S:
            self.worker.send(signal.SIGKILL)

    def take(self) -> WorkerProcess | None:
        """Return the worker if it is ready; it is the caller's from now on."""
        if self.state != "ready":
            return None
        worker, self.worker = self.worker, None
        return worker

    def hurry(self) -> None:
        """Cut the pause after a failure short: nothing else is left to run."""
        self._due_at = 0.0

    def read(self) -> None:
        """Take what it has reported."""
        if self.worker is not None and self.worker.exit_code is None:
            self.worker.read(time.monotonic())
            if self.worker.reports.ready:  # here, so that no status is ready and has an error
                self.error, self._failures = None, 0

    def discard(self) -> None:
        """Kill it; ``advance`` notices when the kernel has done so."""
        if self.worker is not None:
            self.worker.send(signal.SIGKILL)

    def _note_end(self, worker: WorkerProcess, now: float, *, again: bool) -> None:
        self.worker = None
        if not again:  # it was discarded
            return
        first_s, longest_s = BACK_OFF_S
        pause_s = min(first_s * 2**self._failures, longest_s)
        self._failures += 1
        self._due_at = now + pause_s
        why = worker.reports.error or f"it ended with exit status {worker.exit_code} and no message"
        self.error = f"{self._name} could not get ready: {why}"
        self._on_failure(self.error, pause_s)
