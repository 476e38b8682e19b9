"""What all parts of a training share, from its beginning to its end."""

from dataclasses import dataclass

from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.errors import ConfigError
from esmm_dist.input.defaults import batch_plan
from esmm_dist.input.order import RankShare
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.progress import Progress
from esmm_dist.ranks.world import World
from esmm_dist.reporter import NO_REPORTER, Reporter
from esmm_dist.schema.checksum import file_crc32c
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.learnable import check_learnable
from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest, read_manifest
from esmm_dist.storage.folder import Folder
from esmm_dist.train.chosen_settings import choose_settings
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.init_from import settings_of_other_run
from esmm_dist.train.run_folder import RunFolder
from esmm_dist.train.step_count import StepCount, count_steps


@dataclass(frozen=True, kw_only=True)
class TrainingContext:
    """Settings, data, ranks and run of a training, and who listens to it."""

    config: TrainConfig
    """The settings, with all that they left open chosen."""
    chosen_lines: tuple[str, ...]
    """What was chosen and why, for people; empty if nothing was open."""
    manifest: DatasetManifest
    """Manifest of the data set."""
    manifest_crc32c: int
    """Checksum of the manifest's file: a run that resumes must find the same data."""
    reader: BatchReader
    """Reads this rank's share of the train split."""
    steps: StepCount
    world: World
    run: RunFolder | None
    """The run's folder; None on ranks other than 0, which write nothing."""
    progress: Progress
    reporter: Reporter

    @property
    def schema(self) -> Schema:
        """Schema of the data set."""
        return self.manifest.schema


def make_context(
    config: TrainConfig, world: World, run: RunFolder | None, progress: Progress, reporter: Reporter = NO_REPORTER
) -> TrainingContext:
    """Read the data set's manifest, choose the settings that are open, and count the steps; a collective.

    Args:
        config: settings as they were given
        world: ranks of the training
        run: folder of the run; None on ranks other than 0
        progress: receives training progress
        reporter: receives facts and events of the training

    Raises:
        ConfigError: The settings do not fit the data set, or the data set is gone.
        EsmmError: As ``read_manifest`` and ``check_learnable``.
    """
    manifest = _read_data(config)
    check_learnable(manifest)
    start = world.on_root(lambda: settings_of_other_run(config)) if config.init_from is not None else None
    chosen = choose_settings(config, manifest, start)
    config = chosen.config  # from here on, and in all that is saved, the settings name the numbers that were chosen
    share = RankShare(rank=world.rank, world_size=world.size)
    reader = BatchReader(config.data, manifest, "train", config.input, share=share)
    return TrainingContext(
        config=config,
        chosen_lines=chosen.lines,
        manifest=manifest,
        manifest_crc32c=file_crc32c(config.data / MANIFEST_NAME),
        reader=reader,
        steps=count_steps(config, per_epoch=reader.steps_per_epoch, epochs=batch_plan(config.input, manifest).epochs),
        world=world,
        run=run,
        progress=progress,
        reporter=reporter,
    )


def _read_data(config: TrainConfig) -> DatasetManifest:
    """Read the manifest of the data that a run is trained on.

    Raises:
        ConfigError: The run has checkpoints, and its data is gone from where it was.
        InputDataError: As ``read_manifest``.
    """
    data, run = config.data.absolute(), Folder.open(config.run)
    if not (data / MANIFEST_NAME).exists() and checkpoint_steps(run):
        raise ConfigError(
            f"{data} holds no data set, and {run} would resume with the one that it was trained on. If that has moved, "
            f"say where it is: esmm train --run {run} --data NEWPLACE."
        )
    return read_manifest(config.data)
