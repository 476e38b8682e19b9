"""The verbs of a job, wherever it runs: one interface, with a backend for this machine and one for clusters."""

from collections.abc import Callable, Iterator
from typing import Protocol

from launcher.command import Outcome, RunLine
from launcher.run_files.job import JobStatus
from launcher.terminal.wait import Wait

Say = Callable[[str], None]
"""Shows a line to the user."""


def ignore(text: str) -> None:
    """Show nothing."""


class JobBackend(Protocol):
    """A job.

    Every verb raises an ``EsmmError`` whose message says what to do: ``ConfigError`` where it makes no sense in the
    job's state, ``RetryError`` when the wait times out. A verb with a ``Wait`` of 0 seconds asks, and returns at once.
    """

    def status(self) -> JobStatus:
        """Return its state."""

    def logs(self, which: str | None, *, follow: bool, tail: int | None = None, say: Say = ignore) -> Iterator[str]:
        """Yield the lines of a process's log, without line ends.

        Args:
            which: ``driver``, ``worker-0`` or ``server-1``; ``rank-0`` is the worker that has this rank now. None: the
                driver, or the process that tells most
            follow: whether to go on with new lines until the job has ended
            tail: number of last lines to begin with. None: all that are kept
            say: receives why there are no lines yet
        """

    def scale_workers(self, count: int, wait: Wait) -> Outcome:
        """Change the number of workers, and wait until so many train."""

    def scale_servers(self, count: int, wait: Wait) -> Outcome:
        """Change the number of parameter servers: save, stop, start again with so many, and wait until it trains."""

    def scale_replicas(self, least: int, most: int, wait: Wait) -> Outcome:
        """Change the number of pods that answer, and wait until they do.

        Args:
            least: number of pods
            most: number up to which an autoscaler goes; as ``least``: there is none
            wait: how long to wait
        """

    def cancel(self, wait: Wait, *, now: bool) -> Outcome:
        """End the job so that it can be resumed, and wait for its end.

        Args:
            wait: how long to wait
            now: whether to end its processes at once; a resume makes again what was not saved
        """

    def resume(self, wait: Wait, run_line: RunLine) -> Outcome:
        """Start a job that has ended, or was lost, again from its last checkpoint.

        Args:
            wait: how long to wait until it trains
            run_line: runs the command line by which a local run is resumed
        """

    def delete(self, wait: Wait, *, keep_data: bool) -> Outcome:
        """Remove the job, and wait until it is gone.

        Args:
            wait: how long to wait
            keep_data: whether to keep what it has stored: the checkpoints of a local run, the claims that a job made
        """
