"""The progress of a run as lines of a log: its steps, ranks, checkpoints and evaluations."""

import time
from collections import deque

from esmm_dist.progress import Progress
from esmm_dist.reporter import Phase
from launcher.run_files.run_status import RunStatus
from launcher.run_files.status_lines import evaluation_line, progress_line
from launcher.terminal.progress import duration

PROGRESS_S = 15.0
STEADY_S = 2.0
"""A number of ranks that lasts less is not reported: ranks save, evaluate and end one after the other."""

SPEED_S = 60.0
"""Seconds over which the speed is measured from which the end is estimated."""


class RunReport:
    """Reports what has changed from one status to the next, and every 15 s the progress of the run.

    Args:
        progress: receives each line
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._ranks = 0
        self._other_ranks: tuple[int, float] | None = None
        self._checkpoint: int | None = None
        self._evaluated: int | None = None
        self._said_at = float("-inf")
        self._steps: deque[tuple[float, int]] = deque()

    def report(self, status: RunStatus, now: float | None = None) -> None:
        """Report what is new.

        Args:
            status: newest status
            now: seconds of a clock that does not jump. None: now
        """
        now = time.monotonic() if now is None else now
        self._count(status, now)
        if ranks := self._new_ranks(status, now):
            of = f" of {status.wanted_workers} wanted" if ranks != status.wanted_workers else ""
            self._say(now, f"{ranks} {'rank trains' if ranks == 1 else 'ranks train'}{of}, at step {status.step:,}")
        if status.checkpoint_step is not None and status.checkpoint_step != self._checkpoint:
            self._checkpoint = status.checkpoint_step
            self._progress.message(f"Step {status.checkpoint_step:,} is saved")
        if status.evaluation and status.evaluation["step"] != self._evaluated:
            self._evaluated = status.evaluation["step"]
            self._progress.message(evaluation_line(status))
        if status.state == "running" and status.total_steps and now >= self._said_at + PROGRESS_S:
            self._say(now, progress_line(status) + self._time_left(status))

    def _new_ranks(self, status: RunStatus, now: float) -> int:
        """Return the number of ranks that train if it is another one and has lasted; else 0."""
        ranks = sum(worker.phase == Phase.TRAINING for worker in status.workers)
        if not ranks or ranks == self._ranks:
            self._other_ranks = None
            return 0
        if self._other_ranks is None or self._other_ranks[0] != ranks:
            self._other_ranks = ranks, now
        if self._ranks and now < self._other_ranks[1] + STEADY_S:
            return 0
        self._ranks = ranks
        return ranks

    def _say(self, now: float, line: str) -> None:
        self._said_at = now
        self._progress.message(line)

    def _count(self, status: RunStatus, now: float) -> None:
        if self._steps and status.step < self._steps[-1][1]:
            self._steps.clear()  # back to a checkpoint
        self._steps.append((now, status.step))
        while now - self._steps[0][0] > SPEED_S:
            self._steps.popleft()

    def _time_left(self, status: RunStatus) -> str:
        (since, before), (until, after) = self._steps[0], self._steps[-1]
        if after <= before:
            return ""
        return f", ends in about {duration((status.total_steps - after) * (until - since) / (after - before))}"
