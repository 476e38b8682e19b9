"""Open a trainer on each rank, and lock the run on rank 0."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from esmm_dist.progress import NoProgress, Progress
from esmm_dist.ranks.world import World
from esmm_dist.reporter import Reporter
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run_folder import RunFolder, locked_run
from esmm_dist.train.train_state import ProcessMemory
from esmm_dist.train.trainer import Trainer


@contextmanager
def open_trainer(
    config: TrainConfig,
    progress: Progress,
    world: World,
    reporter: Reporter,
    memory: ProcessMemory | None = None,
    lock: Callable[[str], AbstractContextManager[RunFolder]] = locked_run,
) -> Iterator[Trainer]:
    """Make a trainer for the ``with`` block; a collective.

    Args:
        config: settings as they were given
        progress: receives training progress on rank 0
        world: ranks of the training
        reporter: receives facts and events of the training
        memory: what this process has kept from a trainer among other ranks
        lock: locks the run, on rank 0

    Raises:
        EsmmError: As ``esmm_dist.train.run.train``.
    """
    with ExitStack() as stack:
        locked: list[RunFolder] = []
        world.on_root(lambda: locked.append(stack.enter_context(lock(config.run))))
        yield stack.enter_context(
            Trainer(
                config,
                progress if world.rank == 0 else NoProgress(),
                locked[0] if locked else None,
                world=world,
                reporter=reporter,
                memory=memory,
            )
        )
