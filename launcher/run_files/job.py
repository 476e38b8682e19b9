"""What can be done with a job, wherever it runs: one interface; a backend for this machine and one for clusters."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from esmm_dist.progress import Progress
from launcher.command import RunLine
from launcher.run_files.plain_run import PlainProgress
from launcher.run_files.run_status import RunStatus


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """The state of a job."""

    job: str
    """Name of a cluster job; folder or URI of a local run."""

    where: str
    """``namespace NS`` or ``this machine``."""

    state: str
    """That of the run; before there is one ``pending``; of a task of one pod ``running``, ``done`` or ``failed``."""

    run: RunStatus | None = None
    """As the driver wrote it last. None: it has not written yet, or there is no driver (tasks of one pod)."""

    progress: PlainProgress | None = None
    """What the files of a local training without a driver tell. None: it has a driver, or has not begun."""

    stale: bool = False
    """Whether the run should be going on, and its driver has said nothing for a while."""

    troubles: Sequence[str] = ()
    """Why it does not go on: one line each."""

    pods: Mapping[str, str] = field(default_factory=dict)
    """How many pods of each kind are there and ready: ``worker`` -> ``2 of 3 ready``."""

    @property
    def ended(self) -> bool:
        """Whether it has come to an end of its own."""
        return self.state in ("done", "stopped", "failed")


@dataclass(frozen=True, kw_only=True)
class JobRow:
    """One job in a list."""

    job: str
    where: str
    """Namespace; ``local`` for runs of this machine."""
    task: str
    state: str
    ranks: int | None = None
    step: int | None = None
    total_steps: int | None = None
    since: str = ""
    """When it was submitted."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a verb did."""

    lines: Sequence[str]
    """For a reader."""

    result: Mapping[str, Any]
    """For a program."""

    done: bool = True
    """False: it was not done; the process exits with 1."""


class JobBackend(Protocol):
    """A job.

    Every method raises an ``EsmmError`` whose message says what to do: ``ConfigError`` where the verb makes no sense in
    the job's state, ``RetryError`` after a wait in vain.
    """

    def status(self) -> JobStatus:
        """Return its state."""

    def logs(self, which: str | None, *, follow: bool, tail: int | None = None) -> Iterator[str]:
        """Return lines of its log, without ends of lines.

        Args:
            which: Whose: ``driver``, ``worker-0``, ``server-1``; ``rank-0``: of the worker that has this rank now.
                None: the driver's, or what tells most.
            follow: Whether to go on with new lines, until the process has ended for good.
            tail: Begin with the last so many lines. None: with all that are kept.
        """

    def scale_workers(self, count: int, *, wait_s: float, progress: Progress) -> Done:
        """Change the number of workers, and wait until so many train.

        Args:
            count: Workers that are wanted.
            wait_s: Seconds to wait. 0: ask, and do not wait.
            progress: Told while it waits.
        """

    def scale_servers(self, count: int, *, wait_s: float, progress: Progress) -> Done:
        """Change the number of parameter servers: save, stop, start anew with so many, and wait for it."""

    def cancel(self, *, now: bool, wait_s: float, progress: Progress) -> Done:
        """End the job so that it can be resumed.

        Args:
            now: Whether to end its processes at once; what was not saved is made again after a resume.
            wait_s: Seconds to wait for its end. 0: ask, and do not wait.
            progress: Told while it waits.
        """

    def resume(self, *, wait_s: float, progress: Progress, run_line: RunLine) -> Done:
        """Start a job that has ended, or was lost, again from its last checkpoint.

        Args:
            wait_s: seconds to wait until it trains. 0: do not wait
            progress: receives what it waits for
            run_line: runs a command line in this process, which is how a local run is resumed
        """

    def delete(self, *, keep_data: bool, wait_s: float, progress: Progress) -> Done:
        """Remove the job.

        Args:
            keep_data: Whether to keep what it has stored: checkpoints of a local run, claims that the job made.
            wait_s: Seconds to wait until it is gone.
            progress: Told while it waits.
        """
