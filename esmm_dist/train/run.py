"""The entry point of training."""

from esmm_dist.errors import ConfigError
from esmm_dist.process.paused_collection import paused_collection
from esmm_dist.process.quiet import import_tfra
from esmm_dist.progress import Progress
from esmm_dist.ranks.elastic import ElasticWorld
from esmm_dist.ranks.open_world import open_world
from esmm_dist.ranks.world import World
from esmm_dist.reporter import NO_REPORTER, Reporter
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.result import TrainResult


def train(config: TrainConfig, progress: Progress, reporter: Reporter = NO_REPORTER) -> TrainResult:
    """Train a model, or resume the run that ``config.run`` holds, alone or as one of Horovod's ranks.

    Blocks until all epochs are done, or until SIGTERM or SIGINT on any rank: then the running step is finished, a
    checkpoint is written and the result says so. All ranks return the same result.

    Started by a driver of elastic runs, the ranks may come and go meanwhile; SIGTERM then means that this one leaves.

    Args:
        config: settings of the training
        progress: receives training progress
        reporter: receives facts and events: steps, checkpoints, changes of the ranks

    Raises:
        LeftError: This rank was told to leave, and has.
        EsmmError: Settings, data set or checkpoint are wrong or do not fit; a loss is not finite; the storage refuses.
        WorkerLostError: Another rank has ended.
    """
    world = open_world(config.store.token_file)
    reporter.note(rank=world.rank, size=world.size)
    refuse_rows_apart(config, world)
    import_tfra()  # here, so that reading settings and help does not wait for it
    with paused_collection():
        from esmm_dist.train.elastic import train_elastically
        from esmm_dist.train.open_trainer import open_trainer

    if isinstance(world, ElasticWorld):
        return train_elastically(config, progress, world, reporter)
    with open_trainer(config, progress, world, reporter) as trainer:
        return trainer.train()


def refuse_rows_apart(config: TrainConfig, world: World) -> None:
    """Check that several ranks share their rows.

    Raises:
        ConfigError: Each would have rows of its own.
    """
    if (world.size > 1 or world.elastic) and config.store.embedded:
        raise ConfigError(
            f"servers is embedded, but {world.size} ranks train, and each would learn rows of its own. Start parameter "
            f"servers with the ranks: esmm local --workers {world.size} --servers 1 -- train ..., or name servers that "
            "run: --servers HOST:PORT,..."
        )
