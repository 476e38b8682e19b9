"""Write predictions for every impression of a split."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
import pyarrow as pa

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.errors import ConfigError
from esmm_dist.inference.kept_columns import KeptColumns, check_names, names_of
from esmm_dist.inference.probabilities import probabilities
from esmm_dist.inference.table_format import check_format, table_writer
from esmm_dist.input.config import OnBadRecord
from esmm_dist.input.skipped import SkippedShard, gather_skipped, skipped_lines
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.process.in_background import InBackground
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.process.system_refusal import refusals_named
from esmm_dist.progress import NoProgress, Progress
from esmm_dist.ranks.open_world import open_world
from esmm_dist.reported import Reported
from esmm_dist.storage.whole_file import durable_file, make_folder_durable

if TYPE_CHECKING:
    from esmm_dist.inference.scoring import ScoredBatch, Scorer
    from esmm_dist.input.pipeline import BatchReader
    from esmm_dist.ranks.world import World
    from esmm_dist.schema.fields import Schema
    from esmm_dist.schema.label_tree import LabelTree

_BATCHES_BEHIND = 2
"""Batches that are scored and not written yet"""


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """Which model scores what."""

    run: str
    """The run, a path or a URI; RUN:STEP names one of its checkpoints."""

    step: int | None = None
    """Step of the checkpoint. None: the best of a run with early stopping, else the newest that is undamaged."""

    data: Path | None = None
    """The data set: a folder that ``esmm preprocess`` wrote with the run's schema. None: ``raw`` is scored."""

    raw: str | None = None
    """A raw log to score as it is, without labels: path or URI of a file, a pattern in quotes (``'logs/*.csv'``), or a
    folder, of which the files of ``split`` that the schema names are scored, or all where it names none."""

    schema: str | None = None
    """Schema of ``raw`` (a name, or a .yaml file) where it differs from the run's in what does not matter to a model,
    such as names of files and separators. None: the run's."""

    split: str = "test"
    """Split of the data set to score; of a folder as ``raw`` the one whose files are scored, if the schema names it."""

    out: Path
    """File to write; replaced if it exists. Its ending decides the format: .parquet (or .pq), .csv, .csv.gz. For
    ``raw`` also a folder (a name without such an ending), which gets a Parquet file for each part, and with which a
    scoring that was killed goes on."""

    part_rows: int = 1_000_000
    """Rows of a part of a folder ``out``, about: a part ends with 8 MB of text, or 65,536 rows of Parquet. Default: a
    minute or less of work that is done again after a kill."""

    keep: tuple[str, ...] = ()
    """Columns of the log to write beside the predictions: ``user_id,item_id``. Of ``raw`` any columns, in Parquet with
    their own types. Of a data set texts: those that the schema's ``source.keep`` names; of the Ali-CCP form any fields,
    whose feature ids they are."""

    calibrate: bool = True
    """Whether to use the calibration that the checkpoint keeps. Without it, or if it keeps none, probabilities are
    those of the model."""

    on_bad_record: OnBadRecord = "fail"
    """What to do with a record that cannot be read: ``fail``, or ``skip`` it and say how many were left out."""

    store: ConnectionConfig = field(default_factory=ConnectionConfig)

    def __post_init__(self) -> None:
        _ = self.checkpoint  # checks run and step
        if (self.data is None) == (self.raw is None):
            given = "neither data nor raw is" if self.raw is None else "both data and raw are"
            raise ConfigError(f"{given} given. Give --data DATA for a data set, or --raw PATH for a log as it is.")
        if self.raw is None:
            self._check_of_data_set()
        elif self.on_bad_record != "fail":
            raise ConfigError(
                f"on_bad_record is '{self.on_bad_record}', which is for the records of a data set. Leave it out: bad "
                "rows of raw are counted and listed in any case."
            )
        if self.part_rows < 1:
            raise ConfigError(f"part_rows is {self.part_rows}. Set 1 or more.")
        twice = [name for name in self.keep if self.keep.count(name) > 1]
        if twice:
            raise ConfigError(f"keep names '{twice[0]}' twice. Name it once.")

    def _check_of_data_set(self) -> None:
        if self.schema is not None:
            raise ConfigError(f"schema is {self.schema}, which is for raw: a data set has its own. Leave it out.")
        if self.out.is_dir():
            raise ConfigError(
                f"out is {self.out}, a folder. Give the name of a file, such as {self.out}/scores.parquet."
            )
        check_format(self.out, setting="out")

    @property
    def checkpoint(self) -> CheckpointChoice:
        """The checkpoint that scores."""
        return CheckpointChoice.parse(self.run, self.step)


@dataclass(frozen=True, kw_only=True, repr=False)
class PredictResult(Reported):
    """What was written."""

    path: str
    impressions: int
    step: int
    """Step of the checkpoint that was used."""
    seconds: float
    skipped: tuple[SkippedShard, ...] = ()
    """Records whose impressions have no row, because they could not be read, by shard."""

    @property
    def missing(self) -> int:
        """Impressions of the split that have no row."""
        return sum(each.impressions for each in self.skipped)

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        missing = [f"{self.missing:,} impressions have no row."] if self.skipped else []
        return [
            f"Wrote {self.impressions:,} predictions of the model at step {self.step} to {self.path} "
            f"({self.impressions / max(self.seconds, 1e-9):,.0f} impressions/s)",
            *missing,
            *skipped_lines(self.skipped),
        ]


def predict(config: PredictConfig, progress: Progress) -> PredictResult:
    """Score a split, in file order, alone or as one of Horovod's ranks; rank 0 writes.

    The file has one row an impression: ``sample_id`` (int64; string where the log names impressions by
    texts), the columns of ``keep`` as strings, and the probabilities as float32, in the columns of the schema's
    ``LabelTree``: ``pctr``, ``pcvr``, ``pctcvr`` of two labels; of more ``p_click``, ``p_cart_given_click``,
    ``p_cart``, ...
    It is written under a temporary name and renamed, so a file under ``out`` is always whole.

    Raises:
        EsmmError: The run, the data set or the split is missing, damaged, or does not fit the other.
        WorkerLostError: Another rank has ended.
    """
    assert config.data is not None  # raw is scored by esmm_dist.raw_scoring
    start = time.monotonic()
    world = open_world(config.store.token_file)
    import_tensorflow()  # here, so that reading settings and help does not wait for it
    from esmm_dist.inference.trained_model import open_model, open_split

    progress = progress if world.rank == 0 else NoProgress()
    opened = open_model(config.checkpoint, progress, connection=config.store, world=world, calibrate=config.calibrate)
    with opened as trained:
        reader, manifest = open_split(
            trained, config.data, config.split, world, on_bad_record=config.on_bad_record, with_names=True
        )
        impressions = manifest.splits[config.split].impressions
        progress.start(f"Predicting {config.split}", impressions, "impressions")
        try:
            written = write_predictions(trained.scorer, reader, manifest.schema, config, world, progress)
        finally:
            progress.finish()
        skipped = tuple(gather_skipped(world, reader.skipped))
    return PredictResult(
        path=str(config.out),
        impressions=written,
        step=trained.step,
        seconds=time.monotonic() - start,
        skipped=skipped,
    )


def write_predictions(
    scorer: "Scorer", reader: "BatchReader", schema: "Schema", config: PredictConfig, world: "World", progress: Progress
) -> int:
    """Score what a reader reads, and write it to ``config.out``, in a thread beside the scoring; a collective.

    Args:
        scorer: model and rows
        reader: reads this rank's share
        schema: schema of the data set
        config: where predictions are written, and with which columns of the log
        world: ranks that score together, of which rank 0 writes
        progress: receives the number of impressions

    Returns:
        The number of impressions, over all ranks.
    """
    from esmm_dist.inference.scoring import scored_batches

    tree, named = scorer.schema.label_tree, schema.has_text_sample_ids
    kept = KeptColumns(schema, config.keep)
    check_names(kept.names, ["sample_id", *tree.columns])
    columns = [("sample_id", pa.string() if named else pa.int64()), *((name, pa.string()) for name in kept.names)]
    rows = _rows_written(config.out, columns, tree) if world.rank == 0 else nullcontext()
    scored = closing(scored_batches(scorer, reader, world, texts_of=kept.texts))
    writer = InBackground(depth=_BATCHES_BEHIND, name="writer")
    written = 0
    with refusals_named(config.out), rows as write, writer, scored as batches:
        for batch in batches:
            if write is not None:
                writer.do(partial(_write_batch, write, batch, kept, tree, named=named))
            written += batch.num_impressions
            progress.advance(batch.num_impressions)
    return written


Write = Callable[[list[npt.NDArray[Any]]], None]


def _write_batch(write: Write, batch: "ScoredBatch", kept: KeptColumns, tree: "LabelTree", *, named: bool) -> None:
    texts = batch.sample_names
    ids = names_of(texts) if named and texts is not None else batch.sample_ids
    write([ids, *kept.columns(texts), *probabilities(batch.logits, tree)])


@contextmanager
def _rows_written(out: Path, first: list[tuple[str, pa.DataType]], tree: "LabelTree") -> Iterator[Write]:
    """Write the columns of batches to a file, which is there if the ``with`` block ends well."""
    schema = pa.schema([*first, *((name, pa.float32()) for name in tree.columns)])
    make_folder_durable(out.parent)
    with durable_file(out) as temporary, table_writer(temporary, schema, named=out) as writer:
        yield lambda columns: writer.write_table(_table(columns, schema))


def _table(columns: list[npt.NDArray[Any]], schema: pa.Schema) -> pa.Table:
    return pa.table(
        [pa.array(column).cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
