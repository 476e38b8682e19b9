"""Start a run from the weights of another: the setting ``init_from``."""

from typing import Any

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.checkpoint.reader import Checkpoint
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.errors import CheckpointMismatchError
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.dense_state import load_dense
from esmm_dist.model.esmm import Esmm
from esmm_dist.progress import Progress
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run_settings import read_settings


def settings_of_other_run(config: TrainConfig) -> dict[str, Any] | None:
    """Return the settings of the run that ``init_from`` names; None without one, and if it has none.

    Raises:
        ConfigError: They are damaged.
        StorageError: The storage refuses.
    """
    return read_settings(CheckpointChoice.parse(config.init_from).run) if config.init_from is not None else None


def load_other_run(
    config: TrainConfig, manifest: DatasetManifest, store: EmbeddingStore, model: Esmm, progress: Progress
) -> None:
    """Set rows, and dense weights unless ``init_what`` is ``sparse``, to those that ``init_from`` names.

    Args:
        config: settings of this run
        manifest: manifest of this run's data
        store: empty; gets the rows with their slot variables and counts
        model: gets the dense weights
        progress: receives a message for each damaged checkpoint, and which one was taken

    Raises:
        CheckpointMismatchError: The other run has other tables, another optimizer of rows, other towers, or outputs and
            columns that mean something else.
        CheckpointError: The other run has no (such) checkpoint, or it is damaged.
    """
    assert config.init_from is not None

    def load(checkpoint: Checkpoint) -> None:
        _refuse_other_rows(checkpoint, config, manifest.schema)
        store.restore(checkpoint.folder, checkpoint.manifest.tables, step=0)
        if config.init_what == "all":
            _refuse_other_outputs(checkpoint, config)
            _load_towers(checkpoint, model)

    checkpoint = CheckpointChoice.parse(config.init_from).restore(progress, load)
    progress.message(f"Starting from the weights of {checkpoint.folder}.")
    if _objective_of(checkpoint) != config.model.objective:
        progress.message(
            f"Those weights were trained by objective {_objective_of(checkpoint)}, and this training's is "
            f"{config.model.objective}."
        )
    before = float(checkpoint.manifest.state.get("keep_negatives", 1.0))
    if before != manifest.keep_negatives:
        progress.message(
            f"Warning: those weights were trained on {before:g} of the negatives, and this data set has "
            f"{manifest.keep_negatives:g}. Until this training has learned the difference, probabilities of "
            f"{manifest.schema.labels[0]} are off: let it make a whole pass, or preprocess with --keep-negatives "
            f"{before:g}."
        )


def _refuse_other_rows(checkpoint: Checkpoint, config: TrainConfig, schema: Schema) -> None:
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
    slices, slices_before = config.embedding.row_slices, manifest.settings["embedding"].get("row_slices", 1)
    if slices != slices_before:
        raise CheckpointMismatchError(
            f"Rows have {_slices(slices)}, by objective {config.model.objective}, but {_slices(slices_before)} in "
            f"{checkpoint.folder}, by objective {_objective_of(checkpoint)}. Set share_embeddings to "
            f"{str(slices_before == 1).lower()}, take a run of the same objective, or leave out --init-from."
        )
    scale, scale_before = config.model.linear_scale or 0, manifest.settings["model"].get("linear_scale") or 0
    if (scale > 0) != (scale_before > 0):
        raise CheckpointMismatchError(
            f"linear_scale is {scale:g} but {scale_before:g} in {checkpoint.folder}: the first columns of a row are "
            f"weights of a linear term in one and not in the other. Set linear_scale to {scale_before:g}, or leave out "
            "--init-from."
        )


def _refuse_other_outputs(checkpoint: Checkpoint, config: TrainConfig) -> None:
    """Check that the networks' outputs mean what they meant: with division, probabilities among all impressions."""
    now, before = config.model.objective, _objective_of(checkpoint)
    if now != before and "division" in (now, before):
        raise CheckpointMismatchError(
            f"objective is {now} but {before} in {checkpoint.folder}. With division the networks say how probable a "
            "label is among all impressions, with the others among those with the label before it. Take the rows "
            "alone (--init-what sparse), or a run of the same objective."
        )


def _slices(number: int) -> str:
    return "one slice of columns for all networks" if number == 1 else f"{number} slices, one for each network"


def _objective_of(checkpoint: Checkpoint) -> str:
    return str(checkpoint.manifest.settings["model"].get("objective", ModelConfig.objective))


def _load_towers(checkpoint: Checkpoint, model: Esmm) -> None:
    try:
        load_dense(model, None, checkpoint.dense())
    except CheckpointMismatchError as e:  # its rows fit, or restoring them would have failed
        raise CheckpointMismatchError(
            f"{checkpoint.folder}: {e} With other fields or towers, take its rows alone: --init-what sparse."
        ) from e
