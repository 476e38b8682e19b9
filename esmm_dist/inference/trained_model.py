"""Load a trained model from a checkpoint of a run."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from esmm_dist.calibration.calibration import Calibration
from esmm_dist.calibration.logit_transform import LogitTransform, keep_negatives_of
from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.checkpoint.format import CheckpointManifest
from esmm_dist.checkpoint.reader import Checkpoint, open_checkpoint
from esmm_dist.config import build, to_mapping
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.run_tables import RunTables
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.errors import SchemaError
from esmm_dist.inference.row_ids import RowIds
from esmm_dist.inference.scoring import Scorer
from esmm_dist.input.config import InputConfig, OnBadRecord
from esmm_dist.input.order import RankShare
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.model.config import HardwareConfig, ModelConfig
from esmm_dist.model.dense_state import load_dense
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.forward import CompiledForward
from esmm_dist.model.stored_settings import stored_model_settings
from esmm_dist.parameter_server.config import ClientConfig, ConnectionConfig
from esmm_dist.parameter_server.open_store import new_generation, opened_store
from esmm_dist.parameter_server.run_identity import RunIdentity
from esmm_dist.progress import Progress
from esmm_dist.ranks.world import World
from esmm_dist.schema.differences import record_differences
from esmm_dist.schema.manifest import DatasetManifest, read_manifest
from esmm_dist.storage.folder import Folder

_BATCHES_TOGETHER = 4
_MOST_IMPRESSIONS = 16_384
"""Limit of a batch that is scored, unless those of training are larger: with 90 ids each, 60 MB, and some are ready"""


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What a run has learned."""

    step: int
    scorer: Scorer
    start_values: dict[str, StartValues]
    """Start rows of each table."""
    global_batch_records: int
    calibration: Calibration | None
    """What its scores are calibrated by; None: they are not."""
    checkpoint: Checkpoint | None = None
    """Where it comes from. None: from no checkpoint, as in benchmarks."""

    @cached_property
    def row_ids(self) -> RowIds:
        """The ids that have a row; they are read from the checkpoint the first time.

        Raises:
            CheckpointError: A file of rows is missing or damaged.
        """
        return RowIds((), {}) if self.checkpoint is None else RowIds.of_checkpoint(self.checkpoint)

    def uncalibrated(self) -> "TrainedModel":
        """Return the model without its calibration; logits stay corrected for negatives that the data left out."""
        transform = replace(self.scorer.transform, curves=None)
        return replace(self, scorer=replace(self.scorer, transform=transform), calibration=None)


@contextmanager
def open_model(
    choice: CheckpointChoice,
    progress: Progress,
    *,
    connection: ConnectionConfig,
    world: World,
    calibrate: bool = True,
) -> Iterator[TrainedModel]:
    """Load a checkpoint of a run on all ranks, for the ``with`` block.

    Rank 0 chooses the checkpoint. Without servers every rank reads all of it; with servers rank 0 has them read the
    rows, and the others read the rest.

    Args:
        choice: the checkpoint
        progress: receives a message for each damaged checkpoint, and what probabilities are made by
        connection: servers that hold the rows meanwhile
        world: the ranks
        calibrate: whether to use the checkpoint's calibration, if it has one

    Raises:
        CheckpointError: The run has no (such) checkpoint, or only damaged ones.
        EsmmError: As ``opened_store``.
    """
    folder = Folder.open(choice.run)
    client = build(ClientConfig, to_mapping(connection), where="settings")
    with ExitStack() as stack:
        found: list[tuple[TrainedModel, int]] = []
        lines: list[str] = []

        def choose() -> dict[str, int]:
            def take(checkpoint: Checkpoint) -> None:
                generation = new_generation(client)
                with ExitStack() as attempt:
                    model = attempt.enter_context(
                        _model_of(checkpoint, folder, client, generation, world, load_rows=True)
                    )
                    found.append((model, generation))
                    stack.push(attempt.pop_all())

            lines.extend(probability_lines(choice.restore(progress, take).manifest, calibrate=calibrate))
            return {"step": found[0][0].step, "generation": found[0][1]}

        chosen = world.on_root(choose)
        if world.rank == 0:
            for line in lines:
                progress.message(line)
            yield found[0][0] if calibrate else found[0][0].uncalibrated()
        else:
            checkpoint = open_checkpoint(folder, chosen["step"])
            with _model_of(checkpoint, folder, client, chosen["generation"], world, load_rows=client.embedded) as model:
                yield model if calibrate else model.uncalibrated()


def open_split(
    trained: TrainedModel,
    data: Path,
    split: str | None,
    world: World,
    *,
    on_bad_record: OnBadRecord = "fail",
    with_names: bool = False,
) -> tuple[BatchReader, DatasetManifest]:
    """Open a rank's share of a split of a data set for a trained model.

    Args:
        trained: the model
        data: the data set
        split: the split; None: validation where the data set has one, else test
        world: the ranks
        on_bad_record: what to do with a record that cannot be read
        with_names: whether the texts that name impressions are read too

    Returns:
        A reader in file order, and the data set's manifest.

    Raises:
        SchemaError: The data set was made with another schema than the model.
        InputDataError: There is no such data set or split.
    """
    manifest = read_manifest(data)
    differences = record_differences(manifest.schema, trained.scorer.schema, before_is="the model has")
    if differences:
        raise SchemaError(
            f"The schema of {data} ('{manifest.schema.name}') is not that of the model "
            f"('{trained.scorer.schema.name}'): {'; '.join(differences)}. Preprocess the data with the model's schema."
        )
    split = manifest.split_to_evaluate(split)
    records = scoring_batch_records(trained.global_batch_records, manifest, split)
    config = InputConfig(global_batch_records=records, on_bad_record=on_bad_record)
    share = RankShare(rank=world.rank, world_size=world.size)
    reader = BatchReader(data, manifest, split, config, share=share, with_names=with_names)
    return reader, manifest


def scoring_batch_records(training_records: int, manifest: DatasetManifest, split: str) -> int:
    """Return the records of a batch that is scored: four times those of training, as memory allows.

    Impressions of a larger batch share more of their ids, and nothing is kept for gradients. Measured with batches of
    4,096 impressions in training: 1.26 times the impressions a core-second in evaluate and 1.1 times in predict.

    Args:
        training_records: records of a batch in training
        manifest: manifest of the data set
        split: split that is scored

    Returns:
        A multiple of the data set's lanes.
    """
    found = manifest.splits.get(split)
    most = training_records * _BATCHES_TOGETHER
    if found is not None and found.impressions:
        most = min(most, _MOST_IMPRESSIONS * found.records // found.impressions)
    return max(1, round(max(training_records, most) / manifest.lanes)) * manifest.lanes


def transform_of(checkpoint: Checkpoint) -> LogitTransform:
    """Return what the probabilities of a checkpoint's model are computed from, instead of its logits."""
    manifest = checkpoint.manifest
    return LogitTransform.of(keep_negatives_of(manifest.state), manifest.calibration)


def probability_lines(manifest: CheckpointManifest, *, calibrate: bool) -> list[str]:
    """Say what a checkpoint's probabilities are made by, a line each; nothing if by its model alone.

    Args:
        manifest: manifest of the checkpoint
        calibrate: whether its calibration is used
    """
    share, calibration = keep_negatives_of(manifest.state), manifest.calibration
    lines = []
    if share != 1:
        lines.append(f"Probabilities are those of the full log: training kept {share:.4g} of its negatives.")
    if calibrate and calibration is not None:
        lines += calibration.lines(manifest.schema.label_tree)
    elif calibrate and manifest.settings.get("evaluation", {}).get("calibrate") not in (None, "none"):
        lines.append(
            f"Not calibrated: the checkpoint of step {manifest.step:,} keeps no calibration, as it was not evaluated "
            "on the whole validation split. esmm checkpoints RUN shows which ones do."
        )
    return lines


def embedding_of(checkpoint: Checkpoint) -> EmbeddingConfig:
    """Return the settings of a checkpoint's tables."""
    return build(EmbeddingConfig, checkpoint.manifest.settings["embedding"], where=str(checkpoint.folder))


def dense_model(checkpoint: Checkpoint) -> Esmm:
    """Return a checkpoint's model with its dense weights; its rows are not read.

    Raises:
        CheckpointError: The dense weights are damaged, or do not fit the checkpoint's settings.
        ConfigError: A network cannot be loaded.
    """
    manifest, where = checkpoint.manifest, str(checkpoint.folder)
    settings = manifest.settings
    hardware = build(HardwareConfig, settings.get("hardware", {}), where=where)
    model = Esmm(
        manifest.schema,
        embedding_of(checkpoint),
        build(ModelConfig, stored_model_settings(settings["model"]), where=where),
        seed=int(settings["seed"]),
        mixed_precision=hardware.mixed_precision,
    )
    load_dense(model, None, checkpoint.dense())
    return model


@contextmanager
def _model_of(
    checkpoint: Checkpoint, run: Folder, client: ClientConfig, generation: int, world: World, *, load_rows: bool
) -> Iterator[TrainedModel]:
    manifest = checkpoint.manifest
    schema, seed = manifest.schema, int(manifest.settings["seed"])
    embedding = embedding_of(checkpoint)
    model = dense_model(checkpoint)
    forward = CompiledForward(model)
    identity = RunIdentity(
        location=run.location, generation=generation, rank=world.rank, world_size=world.size, purpose="score"
    )
    tables = RunTables(names=schema.tables, embedding=embedding, seed=seed)
    with opened_store(client, tables, identity, world) as opened:
        if load_rows:
            opened.store.restore(checkpoint.folder, manifest.tables, step=manifest.step)
        yield TrainedModel(
            step=manifest.step,
            scorer=Scorer(schema=schema, store=opened.store, forward=forward, transform=transform_of(checkpoint)),
            start_values={
                table: StartValues(embedding_dim=dim, scale=embedding.start_range, seed=seed)
                for table, dim in model.dim_by_table.items()
            },
            global_batch_records=int(manifest.settings["input"]["global_batch_records"]),
            calibration=manifest.calibration,
            checkpoint=checkpoint,
        )
