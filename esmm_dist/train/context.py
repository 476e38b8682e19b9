"""What all parts of a training share, from its beginning to its end."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.checkpoint.reader import newest_checkpoint
from esmm_dist.errors import ConfigError
from esmm_dist.input.defaults import batch_plan
from esmm_dist.input.order import RankShare
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.progress import NoProgress, Progress
from esmm_dist.ranks.world import World
from esmm_dist.reporter import NO_REPORTER, Reporter
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.learnable import check_learnable
from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest, read_manifest
from esmm_dist.storage.folder import Folder
from esmm_dist.train.chosen_settings import choose_settings
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.data_sets import DataSetRecord, records_from_mapping, records_to_mapping
from esmm_dist.train.init_from import settings_of_other_run
from esmm_dist.train.planned_data_sets import PlannedDataSets, planned_data_sets
from esmm_dist.train.run_folder import RunFolder
from esmm_dist.train.run_settings import still_chosen
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
    data_sets: tuple[DataSetRecord, ...]
    """Data sets of the run, the one that it learns from last."""
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
    config: TrainConfig,
    world: World,
    run: RunFolder | None,
    progress: Progress,
    reporter: Reporter = NO_REPORTER,
    known: Sequence[DataSetRecord] = (),
) -> TrainingContext:
    """Read the data set's manifest, choose the settings that are open, and count the steps; a collective.

    Args:
        config: settings as they were given
        world: ranks of the training
        run: folder of the run; None on ranks other than 0
        progress: receives training progress
        reporter: receives facts and events of the training
        known: data sets of the run that this process has agreed on with other ranks before; empty: not yet

    Raises:
        ConfigError: The settings do not fit the data set; it is gone, or not the one to learn from now.
        EsmmError: As ``read_manifest`` and ``check_learnable``.
    """
    manifest = _read_data(config)
    check_learnable(manifest)
    plan = _agreed_data_sets(config, manifest, world, run, known)
    *before, now = plan.data_sets
    start = plan.settings
    if start is None and config.init_from is not None:
        start = world.on_root(lambda: settings_of_other_run(config))
    chosen = choose_settings(config, manifest, start, continues=bool(before))
    now = replace(now, chosen=tuple(dict.fromkeys([*still_chosen(now.chosen, config, plan.settings), *chosen.names])))
    # From here on, and in all that is saved, the settings name the numbers that were chosen. Whether another data set
    # may come next is a matter of each start
    config = replace(chosen.config, continue_=False, again=False)
    share = RankShare(rank=world.rank, world_size=world.size)
    reader = BatchReader(config.data, manifest, "train", config.input, share=share)
    return TrainingContext(
        config=config,
        chosen_lines=chosen.lines,
        manifest=manifest,
        data_sets=(*before, now),
        reader=reader,
        steps=count_steps(
            config,
            per_epoch=reader.steps_per_epoch,
            epochs=batch_plan(config.input, manifest).epochs,
            first=now.first_step,
        ),
        world=world,
        run=run,
        progress=progress,
        reporter=reporter,
    )


def _agreed_data_sets(
    config: TrainConfig,
    manifest: DatasetManifest,
    world: World,
    run: RunFolder | None,
    known: Sequence[DataSetRecord],
) -> PlannedDataSets:
    """Return what rank 0 finds, or what ranks of a training that has begun know; a collective.

    What these know goes first: rank 0 may have just come, and a data set that is trained on again looks finished to it
    if that was so before.
    """
    held = [each for each in world.gather_values(records_to_mapping(known)) if each] if world.elastic else []

    def find() -> dict[str, Any]:
        assert run is not None
        if held:
            checkpoint = newest_checkpoint(run.folder, NoProgress()) if len(held[0]) > 1 else None
            return {"data_sets": held[0], "settings": checkpoint.manifest.settings if checkpoint is not None else None}
        found = planned_data_sets(config, manifest, run.folder)
        return {"data_sets": records_to_mapping(found.data_sets), "settings": found.settings}

    found = world.on_root(find)
    return PlannedDataSets(
        data_sets=records_from_mapping(found["data_sets"], where="rank 0"), settings=found["settings"]
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
