"""Training among ranks that come and go: what one process does between two worlds."""

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from esmm_dist.errors import ConfigError, GiveUpError, LeftError, RetryError
from esmm_dist.process.retry import retry
from esmm_dist.progress import NoProgress, Progress
from esmm_dist.ranks.elastic import ElasticWorld
from esmm_dist.reporter import Reporter
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.loop import Kept, RanksChangeError, Trainer
from esmm_dist.train.result import TrainResult
from esmm_dist.train.run_folder import RunFolder, locked_run
from esmm_dist.train.stop_signal import StopSignal

_MOST_FAILURES = 5
"""Meetings in a row that bring no step; then something is wrong that meeting does not mend."""

_LOCK_S = 10.0


def train_elastically(config: TrainConfig, progress: Progress, world: ElasticWorld, reporter: Reporter) -> TrainResult:
    """Train until all is done or the training stops, through all changes of the ranks.

    What this process has in memory is kept over a loss; what the ranks go on from is agreed each time they meet, see
    ``esmm_dist.train.meeting``.

    Raises:
        LeftError: This process was told to leave, and has.
        EsmmError: As ``esmm_dist.train.run.train``.
    """
    kept = Kept()
    failures, best_step = 0, -1
    with StopSignal(elastic=True) as stop:
        while True:
            try:
                with _trainer(config, progress, world, reporter, kept) as trainer:
                    return trainer.train(stop)
            except RanksChangeError as e:
                if e.leaving:
                    reporter.note(phase="left")
                    world.leave()
                    raise LeftError("This worker has left the training; nothing is lost.") from None
                reporter.event("ranks_change", step=kept.standing.step if kept.standing else None)
            except RetryError as e:
                step = kept.standing.step if kept.standing else None
                failures = failures + 1 if (step or 0) <= best_step else 0
                best_step = max(best_step, step or 0)
                reporter.event("interrupted", step=step, reason=str(e))
                if failures >= _MOST_FAILURES:
                    raise
            except GiveUpError as e:
                reporter.event("failed", gives_up=True, error=str(e))
                raise
            lost_at = time.monotonic()
            reporter.note(phase="meeting")
            world.rejoin()
            reporter.event("met", rank=world.rank, size=world.size, seconds=round(time.monotonic() - lost_at, 2))


@contextmanager
def _trainer(
    config: TrainConfig, progress: Progress, world: ElasticWorld, reporter: Reporter, kept: Kept
) -> Iterator[Trainer]:
    with ExitStack() as stack:
        locked: list[RunFolder] = []
        world.on_root(lambda: locked.append(stack.enter_context(_lock(config.run))))
        told = progress if world.rank == 0 else NoProgress()
        run = locked[0] if locked else None
        yield stack.enter_context(Trainer(config, told, run, world=world, reporter=reporter, kept=kept))


@contextmanager
def _lock(location: str) -> Iterator[RunFolder]:
    """Lock the run; wait a little for the rank 0 before, which may be dying."""
    with ExitStack() as stack:
        yield retry(
            lambda: stack.enter_context(locked_run(location)), ConfigError, itertools.repeat(0.1), within_s=_LOCK_S
        )
