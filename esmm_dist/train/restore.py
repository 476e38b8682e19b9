"""Where a training begins: at its own newest checkpoint, at another run's weights, or at the start values."""

from typing import Any

from esmm_dist.checkpoint.reader import Checkpoint, open_checkpoint, restore_newest
from esmm_dist.config import to_mapping
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.errors import ConfigError
from esmm_dist.model.dense_state import load_dense
from esmm_dist.train.context import TrainingContext
from esmm_dist.train.init_from import load_other_run
from esmm_dist.train.run_settings import check_settings_fit, check_settings_to_continue
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

    now = context.data_sets[-1]

    def load(checkpoint: Checkpoint) -> None:
        begins = len(context.data_sets) > max(1, len(checkpoint.manifest.state.get("data_sets", ())))
        if begins:
            checkpoint = _checkpoint_before(context, checkpoint)
            check_settings_to_continue(config, checkpoint.manifest.settings, checkpoint.folder)
        else:
            _refuse_other_training(context, checkpoint)
        manifest, compiled = checkpoint.manifest, state.compiled
        store.restore(checkpoint.folder, manifest.tables, step=now.first_step if begins else manifest.step)
        load_dense(compiled.model, compiled.optimizer, checkpoint.dense())
        if begins:
            of_new = {**TrainState(compiled, len(context.schema.labels)).to_mapping(), "first": now.first}
            evaluations = [each for each in manifest.state["evaluations"] if each["step"] <= now.first_step]
            # Rows are evicted before they are saved
            found.append({**of_new, "evaluations": evaluations, "evicted_step": now.first_step})
            _warn_of_other_negatives(context, checkpoint)
            return
        # Rows are evicted before they are saved
        calibration = to_mapping(manifest.calibration) if manifest.calibration is not None else None
        saved = manifest.state.get("data_sets", [{}])[-1]
        found.append(
            {
                **manifest.state,
                "calibration": calibration,
                "evicted_step": manifest.step,
                "first": saved.get("first"),
            }
        )

    checkpoint = restore_newest(run.folder, progress, load)
    if checkpoint is not None:
        step = max(checkpoint.manifest.step, now.first_step)
        run.write_log(run.read_log(step))
        if step == now.first_step and len(context.data_sets) > 1:
            progress.message(
                f"Going on with data set {len(context.data_sets)} of {run.folder}, {now.data}, after step {step:,}."
            )
        else:
            progress.message(f"Resuming {run.folder} after step {step:,} of {context.steps.last:,}.")
        return {"step": step, "state": found[-1]}
    run.write_log([])
    new = TrainState(state.compiled, len(context.schema.labels))
    if config.init_from is not None:
        load_other_run(config, context.manifest, store, state.compiled.model, progress)
    return {"step": 0, "state": new.to_mapping()}


def _refuse_other_training(context: TrainingContext, checkpoint: Checkpoint) -> None:
    """Check that a checkpoint was made with the settings of this training; that its data is the same is known."""
    manifest, now = checkpoint.manifest, context.data_sets[-1]
    check_settings_fit(context.config, manifest.settings, checkpoint.folder)
    done = manifest.step - now.first_step
    refuse_past_end(context.config, context.steps, done=done, checkpoint=checkpoint.folder)


def _checkpoint_before(context: TrainingContext, checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint with which the run goes on to its next data set: that at its end, or the best one.

    Raises:
        ConfigError: The checkpoint at the end of the data set before is damaged.
        CheckpointError: The best one is damaged, or gone.
    """
    now, run = context.data_sets[-1], context.run
    assert run is not None
    if checkpoint.manifest.step != now.first_step:
        raise ConfigError(
            f"{run.folder} goes on with {now.data} after step {now.first_step:,}, but the newest checkpoint that is "
            f"not damaged is of step {checkpoint.manifest.step:,}. Restore that of step {now.first_step:,} from a "
            f"backup, or learn from the data set before to its end again: esmm train --run {run.folder} --data "
            f"{context.data_sets[-2].data}."
        )
    return checkpoint if now.from_step == now.first_step else open_checkpoint(run.folder, now.from_step)


def _warn_of_other_negatives(context: TrainingContext, checkpoint: Checkpoint) -> None:
    before, now = float(checkpoint.manifest.state.get("keep_negatives", 1.0)), context.manifest.keep_negatives
    if before != now:
        context.progress.message(
            f"Warning: the run was trained on {before:g} of the negatives, and this data set has {now:g}. Until the "
            f"run has learned the difference, probabilities of {context.schema.labels[0]} are off: preprocess with "
            f"--keep-negatives {before:g}."
        )
