"""Where a training begins: at its own newest checkpoint, at another run's weights, or at nothing."""

from typing import Any

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.checkpoint.reader import Checkpoint, restore_newest
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.errors import CheckpointMismatchError, ConfigError
from esmm_dist.model.dense_state import load_dense
from esmm_dist.model.esmm import Esmm
from esmm_dist.progress import Progress
from esmm_dist.ranks.world import World
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest, read_manifest
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.dense_side import DenseSide
from esmm_dist.train.run_folder import RunFolder, check_settings_fit, read_settings
from esmm_dist.train.standing import Standing
from esmm_dist.train.stepping import StepCount


def start_run(
    config: TrainConfig,
    *,
    run: RunFolder | None,
    schema: Schema,
    data_crc32c: int,
    count: StepCount,
    store: EmbeddingStore,
    standing: Standing,
    world: World,
    progress: Progress,
) -> None:
    """Set weights and rows to those of the run's newest checkpoint, or as ``init_from`` says; a meeting of all ranks.

    Rank 0 decides and does it, and the others take over what it has. The run's log is cut at the checkpoint.

    Args:
        config: Of the training.
        run: The run's folder; None on other ranks than 0.
        schema: Of the data.
        data_crc32c: Of the data's manifest.
        count: Of the run's steps.
        store: Empty; gets the rows.
        standing: Gets weights, optimizer state, and what else the checkpoint holds.
        world: The ranks.
        progress: Told what was found.

    Raises:
        ConfigError: The run was trained with other settings or data.
        CheckpointError: All checkpoints are damaged, or those of ``init_from`` do not fit.
        RetryError: The storage or a server refuses.
    """
    standing.forget()
    standing.dense.reset()

    def begin() -> dict[str, Any]:
        assert run is not None
        step, state = _restored(config, run, data_crc32c, count, store, standing.dense, progress)
        if state is None:
            run.write_log([])
            state = Standing(standing.dense, len(schema.labels)).to_state()
            if config.init_from is not None:
                _init_from(config, config.init_from, schema, store, standing.dense, progress)
        else:
            run.write_log(run.read_log(step))
            progress.message(f"Resuming {run.folder} after step {step:,} of {count.total:,}.")
        return {"step": step, "state": state}

    begun = world.on_root(begin)
    world.broadcast_variables(standing.dense.variables)
    standing.load_state(begun["state"])
    standing.begin(int(begun["step"]))


def read_data(config: TrainConfig) -> DatasetManifest:
    """Read the manifest of the data that a run is trained on.

    Raises:
        ConfigError: The run has checkpoints, and its data is gone from where it was.
        InputDataError: As ``read_manifest``.
    """
    data, run = config.data.absolute(), Folder.open(config.run)
    if not (data / MANIFEST_NAME).exists() and checkpoint_steps(run):
        raise ConfigError(
            f"{data} holds no data set, and {run}, which would resume, expects there the one that it was trained on. "
            f"If that has moved, say where it is: esmm train --run {run} --data NEWPLACE."
        )
    return read_manifest(config.data)


def settings_to_start_from(config: TrainConfig) -> dict[str, Any] | None:
    """Return the settings of the run that ``init_from`` names; None without one, and if it has none.

    Raises:
        ConfigError: They are damaged.
        StorageError: The storage refuses.
    """
    return read_settings(CheckpointChoice.parse(config.init_from).run) if config.init_from is not None else None


def refuse_past_end(config: TrainConfig, done: int, count: StepCount, checkpoint: object) -> None:
    """Check that a run that resumes has not made more steps than it is to make in all.

    Args:
        config: Of this training.
        done: Steps of the checkpoint that it would resume from.
        count: Of the run's steps.
        checkpoint: Named in the error.

    Raises:
        ConfigError: It has; the message names the settings that say so.
    """
    wrong = []
    if config.max_steps is not None and config.max_steps < done:
        wrong.append(("max_steps", f"{config.max_steps}", done))
    if count.all_epochs < done:
        epochs = count.all_epochs // count.per_epoch
        wrong.append(("epochs", f"{epochs}, which is {count.all_epochs:,} steps", -(-done // count.per_epoch)))
    if wrong:
        raise ConfigError(
            f"{' and '.join(f'{name} is {value}' for name, value, _ in wrong)}, but {checkpoint}, from which this run "
            f"would resume, is {done:,} steps far. "
            f"Set {' and '.join(f'{name} to {least} or more' for name, _, least in wrong)}, or start a new run with "
            "another --run."
        )


def _restored(
    config: TrainConfig,
    run: RunFolder,
    data_crc32c: int,
    count: StepCount,
    store: EmbeddingStore,
    dense: DenseSide,
    progress: Progress,
) -> tuple[int, dict[str, Any] | None]:
    """Restore the run's newest undamaged checkpoint; return its step and state, 0 and None if it has none at all."""
    found: list[dict[str, Any]] = []

    def take(checkpoint: Checkpoint) -> None:
        manifest = checkpoint.manifest
        check_settings_fit(config, manifest.settings, checkpoint.folder)
        if manifest.state["data_manifest_crc32c"] != data_crc32c:
            raise ConfigError(
                f"{config.data} is not the data set that {checkpoint.folder} was trained on (its manifest "
                "differs). Give the same data, or start a new run with another --run."
            )
        refuse_past_end(config, manifest.step, count, checkpoint.folder)
        store.restore(checkpoint.folder, manifest.tables, step=manifest.step)
        load_dense(dense.model, dense.optimizer, checkpoint.dense())
        # Rows are evicted before they are saved
        found.append({**manifest.state, "evicted_step": manifest.step})

    checkpoint = restore_newest(run.folder, progress, take)
    return (checkpoint.manifest.step, found[-1]) if checkpoint is not None else (0, None)


def _init_from(
    config: TrainConfig, text: str, schema: Schema, store: EmbeddingStore, dense: DenseSide, progress: Progress
) -> None:
    """Take the weights of another run's checkpoint."""

    def take(checkpoint: Checkpoint) -> None:
        _take_weights(checkpoint, config, schema=schema, store=store, model=dense.model)

    checkpoint = CheckpointChoice.parse(text).restore(progress, take)
    progress.message(f"Starting from the weights of {checkpoint.folder}.")


def _take_weights(
    checkpoint: Checkpoint, config: TrainConfig, *, schema: Schema, store: EmbeddingStore, model: Esmm
) -> None:
    """Set rows with their slot variables and counts, and dense weights if ``init_what`` is ``all``."""
    manifest = checkpoint.manifest
    if manifest.schema.tables != schema.tables:
        raise CheckpointMismatchError(
            f"{checkpoint.folder} has the tables {', '.join(manifest.schema.tables)}, this run's data has "
            f"{', '.join(schema.tables)}. Give a run of a schema with the same tables to --init-from."
        )
    # Slot variables of another optimizer may have the same shape and mean something else
    name, before = config.embedding.embedding_optimizer, manifest.settings["embedding"]["embedding_optimizer"]
    if name != before:
        raise CheckpointMismatchError(
            f"embedding_optimizer is {name} but {before} in {checkpoint.folder}, whose rows come with its slot "
            f"variables. Set it to {before}, or leave out --init-from."
        )
    store.restore(checkpoint.folder, manifest.tables, step=0)
    if config.init_what == "sparse":
        return
    try:
        load_dense(model, None, checkpoint.dense())
    except CheckpointMismatchError as e:  # its rows fit, or the line before would have said that they do not
        raise CheckpointMismatchError(
            f"{checkpoint.folder}: {e} With other fields or towers, take its rows alone: --init-what sparse."
        ) from e
