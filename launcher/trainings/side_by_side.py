"""The loop that starts, follows and stops work that runs side by side."""

import contextlib
import select
import signal
import time
from collections.abc import Callable
from typing import IO, Generic, Protocol, TypeVar

from esmm_dist.process.signals import SignalInbox, StoppedBySignal
from esmm_dist.progress import Progress

POLL_S = 0.5
"""Longest wait between two looks at the files of the runs."""

SAME_KEYPRESS_S = 0.3
"""A second SIGINT that comes earlier is the same Ctrl-C, sent on by a program in between."""


class Job(Protocol):
    """Work in processes of its own."""

    @property
    def pipes(self) -> list[IO[bytes]]:
        """The pipes to wait for."""

    @property
    def running(self) -> bool:
        """Whether it goes on."""

    def poll(self) -> None:
        """Do what there is to do, and return at once."""

    def stop(self) -> None:
        """Ask it to save and end."""

    def kill(self) -> None:
        """Kill its processes. Harmless if they have ended."""


J = TypeVar("J", bound=Job)


class SideBySide(Generic[J]):
    """Runs so many jobs at a time. Leaving the ``with`` block kills what still runs. Everything is in one thread.

    Args:
        jobs: jobs at a time
        progress: receives a line when a signal comes
        what: jobs as the line calls them: ``trials``
    """

    def __init__(self, jobs: int, progress: Progress, what: str) -> None:
        self.running: dict[int, J] = {}
        """Jobs that run, by their place, 0 .. jobs - 1."""
        self._jobs, self._progress, self._what = jobs, progress, what
        self._is_stopping = False
        self._stopped_by: signal.Signals | None = None
        self._stopped_at = 0.0

    def __enter__(self) -> "SideBySide[J]":
        return self

    def __exit__(self, *error: object) -> None:
        for job in self.running.values():
            job.kill()

    def run(
        self,
        signals: SignalInbox,
        start: Callable[[int], J | None],
        ended: Callable[[J], None],
        show: Callable[[], None],
    ) -> None:
        """Run jobs until there are no more.

        Args:
            signals: where signals arrive; a first one asks all jobs to stop, a second SIGINT ends the waiting
            start: starts the next job at a place; None if there is none
            ended: is called with a job that no longer runs
            show: is called after each look at the jobs

        Raises:
            StoppedBySignal: a signal came, and all jobs have stopped
        """
        while True:
            self._fill(start)
            if not self.running:
                break
            self._wait(signals)
            for place, job in list(self.running.items()):
                job.poll()
                if not job.running:
                    del self.running[place]
                    ended(job)
            show()
        if self._stopped_by is not None:
            raise StoppedBySignal(self._stopped_by)

    def stop(self) -> None:
        """Start nothing more, and ask what runs to save and end."""
        self._is_stopping = True
        for job in self.running.values():
            job.stop()

    def _fill(self, start: Callable[[int], J | None]) -> None:
        while not self._is_stopping and len(self.running) < self._jobs:
            place = next(place for place in range(self._jobs) if place not in self.running)
            job = start(place)
            if job is None:
                return
            self.running[place] = job

    def _wait(self, signals: SignalInbox) -> None:
        pipes = [pipe for job in self.running.values() for pipe in job.pipes]
        with contextlib.suppress(InterruptedError):
            select.select([signals.fileno(), *(pipe.fileno() for pipe in pipes)], [], [], POLL_S)
        for number in signals.take():
            self._note_signal(number)

    def _note_signal(self, number: signal.Signals) -> None:
        if self._stopped_by is None:
            self._stopped_by, self._stopped_at = number, time.monotonic()
            self._progress.message(f"{number.name}: running {self._what} save and stop; Ctrl-C again kills them.")
            self.stop()
        elif number == signal.SIGINT and time.monotonic() >= self._stopped_at + SAME_KEYPRESS_S:
            raise StoppedBySignal(number)
