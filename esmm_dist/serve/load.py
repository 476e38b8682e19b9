"""Load a trained model from a run's newest checkpoint."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from esmm_dist.checkpoint.reader import Checkpoint, restore_newest
from esmm_dist.config import build
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.lookup import LookupPlan
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.errors import CheckpointError, SchemaError
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.config import InputConfig
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.model.config import HardwareConfig, ModelConfig
from esmm_dist.model.dense_state import load_dense
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.forward import CompiledForward
from esmm_dist.model.inputs import model_inputs, pull_rows
from esmm_dist.progress import Progress
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.storage import Folder, without_credentials


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """A model and its rows, ready to score batches."""

    schema: Schema
    store: EmbeddingStore
    forward: CompiledForward

    def score(self, batch: GroupedBatch) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the logits float32 [B, K] of the conditional probabilities, and each label's loss sum [K]."""
        lookups = LookupPlan(self.schema).prepare(batch)
        return self.forward(model_inputs(batch, lookups, pull_rows(self.store, lookups)))


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What a run has learned."""

    step: int
    scorer: Scorer
    global_batch_records: int


def load_trained_model(run: str, progress: Progress) -> TrainedModel:
    """Load the newest undamaged checkpoint of a run.

    Raises:
        CheckpointError: The run has no checkpoint, or only damaged ones.
    """
    loaded: list[TrainedModel] = []
    folder = Folder.open(run)
    if restore_newest(folder, progress, lambda checkpoint: loaded.append(_loaded(checkpoint))) is None:
        raise CheckpointError(
            f"{folder} holds no checkpoint. Train first: esmm train --data DATA --run {without_credentials(run)}"
        )
    return loaded[0]


def _loaded(checkpoint: Checkpoint) -> TrainedModel:
    manifest = checkpoint.manifest
    settings = manifest.settings
    embedding = build(EmbeddingConfig, settings["embedding"], where=str(checkpoint.folder))
    model_config = build(ModelConfig, settings["model"], where=str(checkpoint.folder))
    schema = manifest.schema
    store = EmbeddedStore(schema.tables, embedding, seed=int(settings["seed"]))
    store.restore(checkpoint.folder, manifest.tables, step=manifest.step)
    hardware = build(HardwareConfig, settings.get("hardware", {}), where=str(checkpoint.folder))
    model = Esmm(schema, embedding, model_config, seed=int(settings["seed"]), mixed_precision=hardware.mixed_precision)
    load_dense(model, None, checkpoint.dense())
    forward = CompiledForward(
        model, dim_by_table={table: embedding.dim_of(table) for table in schema.tables}, num_labels=len(schema.labels)
    )
    return TrainedModel(
        step=manifest.step,
        scorer=Scorer(schema=schema, store=store, forward=forward),
        global_batch_records=int(settings["input"]["global_batch_records"]),
    )


def open_split(trained: TrainedModel, data: Path, split: str) -> tuple[BatchReader, int]:
    """Open a split of a data set for a trained model.

    Returns:
        A reader in file order, and the number of impressions.

    Raises:
        SchemaError: The data set was made with another schema than the model.
        InputDataError: There is no such data set or split.
    """
    manifest = read_manifest(data)
    if manifest.schema != trained.scorer.schema:
        raise SchemaError(
            f"{data} was made with schema '{manifest.schema.name}', the model with '{trained.scorer.schema.name}', and "
            "the two differ. Preprocess the data with the model's schema."
        )
    # The batch is as large as in training, rounded to what this data set's lanes allow
    records = max(1, round(trained.global_batch_records / manifest.lanes)) * manifest.lanes
    reader = BatchReader(data, manifest, split, InputConfig(global_batch_records=records))
    return reader, manifest.splits[split].impressions


def scored_batches(
    trained: TrainedModel, reader: BatchReader
) -> Iterator[tuple[GroupedBatch, npt.NDArray[np.float32]]]:
    """Yield each batch with its logits float32 [B, K], in file order."""
    for batch in reader.epoch(0, seed=None):
        logits, _ = trained.scorer.score(batch)
        yield batch, logits
