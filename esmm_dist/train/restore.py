"""Where a training begins: at its own newest checkpoint, at another run's weights, or at the start values."""

from typing import Any

from esmm_dist.checkpoint.reader import Checkpoint, restore_newest
from esmm_dist.config import to_mapping
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.errors import ConfigError
from esmm_dist.model.dense_state import load_dense
from esmm_dist.train.context import TrainingContext
from esmm_dist.train.init_from import load_other_run
from esmm_dist.train.run_settings import check_settings_fit
from esmm_dist.train.step_count import refuse_past_end
from esmm_dist.train.train_state import TrainState


def restore_run(context: TrainingContext, store: EmbeddingStore, state: TrainState) -> None:
    """Set weights and rows to those of the run's newest checkpoint, or as ``init_from`` says; a collective.

    Rank 0 decides and does it, and the others take over what it has. The run's log is cut at the checkpoint.

    Args:
        context: settings, ranks and run of the training
        store: empty; gets the rows
        state: gets weights, optimizer state, and what else the checkpoint holds

    Raises:
        ConfigError: The run was trained with other settings or data.
        CheckpointError: All checkpoints are damaged, or those of ``init_from`` do not fit.
        RetryError: The storage or a server refuses.
    """
    state.forget()
    state.compiled.reset()
    begun = context.world.on_root(lambda: _restore_on_root(context, store, state))
    context.world.broadcast_variables(state.compiled.variables)
    state.load_mapping(begun["state"])
    state.begin(int(begun["step"]))


def _restore_on_root(context: TrainingContext, store: EmbeddingStore, state: TrainState) -> dict[str, Any]:
    """Return the step that rank 0 begins after, and the state that goes with it, as plain values."""
    config, run, progress = context.config, context.run, context.progress
    assert run is not None
    found: list[dict[str, Any]] = []

    def load(checkpoint: Checkpoint) -> None:
        _refuse_other_training(context, checkpoint)
        manifest, compiled = checkpoint.manifest, state.compiled
        store.restore(checkpoint.folder, manifest.tables, step=manifest.step)
        load_dense(compiled.model, compiled.optimizer, checkpoint.dense())
        # Rows are evicted before they are saved
        calibration = to_mapping(manifest.calibration) if manifest.calibration is not None else None
        found.append({**manifest.state, "calibration": calibration, "evicted_step": manifest.step})

    checkpoint = restore_newest(run.folder, progress, load)
    if checkpoint is not None:
        step = checkpoint.manifest.step
        run.write_log(run.read_log(step))
        progress.message(f"Resuming {run.folder} after step {step:,} of {context.steps.total:,}.")
        return {"step": step, "state": found[-1]}
    run.write_log([])
    new = TrainState(state.compiled, len(context.schema.labels))
    if config.init_from is not None:
        load_other_run(config, context.manifest, store, state.compiled.model, progress)
    return {"step": 0, "state": new.to_mapping()}


def _refuse_other_training(context: TrainingContext, checkpoint: Checkpoint) -> None:
    """Check that a checkpoint was made with the settings and the data of this training."""
    manifest = checkpoint.manifest
    check_settings_fit(context.config, manifest.settings, checkpoint.folder)
    if manifest.state["data_manifest_crc32c"] != context.manifest_crc32c:
        raise ConfigError(
            f"{context.config.data} is not the data set that {checkpoint.folder} was trained on (its manifest "
            "differs). Give the same data, or start a new run with another --run."
        )
    refuse_past_end(context.config, context.steps, done=manifest.step, checkpoint=checkpoint.folder)
