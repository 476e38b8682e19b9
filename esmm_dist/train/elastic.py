"""Training among ranks that come and go: what one process does between two worlds."""

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from esmm_dist.errors import ConfigError, GiveUpError, LeftError, RetryError
from esmm_dist.process.retry import retry
from esmm_dist.progress import Progress
from esmm_dist.ranks.elastic import ElasticWorld
from esmm_dist.reporter import Phase, Reporter
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.open_trainer import open_trainer
from esmm_dist.train.result import TrainResult
from esmm_dist.train.run_folder import RunFolder, locked_run
from esmm_dist.train.stop_signal import StopSignal
from esmm_dist.train.train_state import ProcessMemory
from esmm_dist.train.trainer import RanksChangeError

_MOST_FAILURES = 5
"""Rendezvous in a row without a step between them; then something is wrong that another one does not mend."""

_LOCK_S = 10.0


def train_elastically(config: TrainConfig, progress: Progress, world: ElasticWorld, reporter: Reporter) -> TrainResult:
    """Train until all is done or the training stops, through all changes of the ranks.

    What this process has in memory is kept when a rank is lost; the ranks agree on the resume point at each rendezvous,
    see ``esmm_dist.train.rendezvous``.

    Args:
        config: settings as they were given
        progress: receives training progress on rank 0
        world: ranks of the training
        reporter: receives facts and events of the training

    Raises:
        LeftError: This process was told to leave, and has.
        EsmmError: As ``esmm_dist.train.run.train``.
    """
    memory = ProcessMemory()
    failures = FailuresInARow(most=_MOST_FAILURES)
    with StopSignal(elastic=True) as stop:
        while True:
            try:
                with open_trainer(config, progress, world, reporter, memory, _lock_patiently) as trainer:
                    return trainer.train(stop)
            except RanksChangeError as e:
                if e.leaving:
                    reporter.note(phase=Phase.LEFT)
                    world.leave()
                    raise LeftError("This worker has left the training; nothing is lost.") from None
                reporter.event("ranks_change", step=memory.step)
            except RetryError as e:
                reporter.event("interrupted", step=memory.step, reason=str(e))
                if failures.is_last(memory.step or 0):
                    raise
            except GiveUpError as e:
                reporter.event("failed", gives_up=True, error=str(e))
                raise
            began = time.monotonic()
            reporter.note(phase=Phase.RENDEZVOUS)
            world.rejoin()
            reporter.event("met", rank=world.rank, size=world.size, seconds=round(time.monotonic() - began, 2))


class FailuresInARow:
    """Counts interruptions of a training without a step between them."""

    def __init__(self, *, most: int) -> None:
        """Begin with none.

        Args:
            most: failures after the first one, without a step between them, that end the training
        """
        self._most, self._failures, self._best_step = most, 0, -1

    def is_last(self, step: int) -> bool:
        """Count an interruption after ``step``; return whether there were too many without a new step."""
        self._failures = self._failures + 1 if step <= self._best_step else 0
        self._best_step = max(self._best_step, step)
        return self._failures >= self._most


@contextmanager
def _lock_patiently(location: str) -> Iterator[RunFolder]:
    """Lock the run; wait a little for the rank 0 before, which may be dying."""
    with ExitStack() as stack:
        yield retry(
            lambda: stack.enter_context(locked_run(location)), ConfigError, itertools.repeat(0.1), within_s=_LOCK_S
        )
