"""Write a run's model as a TensorFlow SavedModel, for a process that has TensorFlow and nothing of this project."""

import json
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.checkpoint.reader import Checkpoint
from esmm_dist.config import to_mapping
from esmm_dist.errors import ConfigError, StorageError
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.process.system_refusal import refusal
from esmm_dist.progress import Progress
from esmm_dist.reported import Reported
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials
from esmm_dist.storage.whole_file import make_folder_durable, replace_durable

DESCRIPTION = Path("assets.extra/esmm.json")
"""Where a SavedModel says what it was made from; TensorFlow leaves the folder ``assets.extra`` alone."""


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Which model is exported, and where to."""

    run: str
    """The run, a path or a URI; RUN:STEP names one of its checkpoints. No server is needed: rows are read from the
    checkpoint's files."""

    step: int | None = None
    """Step of the checkpoint. None: the best of a run with early stopping, else the newest that is undamaged."""

    calibrate: bool = True
    """Whether to use the calibration that the checkpoint keeps. Without it, or if it keeps none, probabilities are
    those of the model."""

    out: Path
    """Folder to write, which must not exist: a model must not change while a server serves it."""

    def __post_init__(self) -> None:
        if self.out.exists() or self.out.is_symlink():
            raise ConfigError(f"out is {self.out}, which exists. Give the name of a new folder, or remove it.")
        _ = self.checkpoint  # checks run and step

    @property
    def checkpoint(self) -> CheckpointChoice:
        """The checkpoint that is exported."""
        return CheckpointChoice.parse(self.run, self.step)


@dataclass(frozen=True, kw_only=True, repr=False)
class ExportResult(Reported):
    """What was written."""

    path: str
    step: int
    """Step of the checkpoint that was used."""
    rows: dict[str, int]
    """Rows of each table."""
    folder_bytes: int
    seconds: float
    value_inputs: tuple[str, ...] = ()
    """Inputs of the signature ``values``; none where the log has ids."""

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        loaded = f'tf.saved_model.load("{self.path}")'
        named = f'signatures["{"values" if self.value_inputs else "serving_default"}"]'
        return [
            f"Wrote the model at step {self.step} with {sum(self.rows.values()):,} rows to {self.path} "
            f"({self.folder_bytes / 1e6:,.1f} MB, {self.seconds:.1f} s)",
            f"Load it with TensorFlow alone: {loaded}.{named}",
            *self._of_values(),
        ]

    def _of_values(self) -> list[str]:
        if not self.value_inputs:
            return []
        return [
            f"It takes the columns of the log, with the number of impressions of each user context: "
            f"{', '.join(self.value_inputs)}. "
            'signatures["serving_default"] takes records.'
        ]


def export(config: ExportConfig, progress: Progress) -> ExportResult:
    """Write a SavedModel; see README.md for its signatures.

    It is written under a hidden temporary name beside ``out`` and renamed, so a folder ``out`` is always whole. What an
    export that was killed has left there is removed by the next one to the same ``out``.

    Raises:
        CheckpointError: The run has no (such) checkpoint, or it is damaged.
        StorageError: The folder cannot be written.
        EsmmError: Whatever else reading the run raises.
    """
    start = time.monotonic()
    import_tensorflow()  # here, so that reading settings and help does not wait for it
    from esmm_dist.inference.exported_model import ExportedModel
    from esmm_dist.inference.trained_model import probability_lines

    found: list[tuple[Checkpoint, ExportedModel]] = []

    def take(checkpoint: Checkpoint) -> None:
        found.append((checkpoint, _model_to_export(checkpoint, progress, config.calibrate)))

    config.checkpoint.restore(progress, take)
    [(checkpoint, model)] = found
    for line in probability_lines(checkpoint.manifest, calibrate=config.calibrate):
        progress.message(line)
    rows = {table: int(served.ids.shape[0]) for table, served in model.tables.items()}
    transform = model.towers.transform
    description = {
        "run": without_credentials(Folder.open(config.checkpoint.run).location),
        "step": checkpoint.manifest.step,
        "rows": rows,
        "keep_negatives": transform.keep_negatives,
        "calibration": to_mapping(checkpoint.manifest.calibration) if transform.curves is not None else None,
        "schema": to_mapping(checkpoint.manifest.schema),
    }
    if model.value_inputs is not None:
        description["values"] = {name: asdict(column) for name, column in model.value_inputs.columns.items()}
    try:
        folder_bytes = _write(config.out, model, description)
    except OSError as e:
        text = refusal(e, config.out) or f"{config.out} cannot be written: {e}. Free space, or check the path."
        raise StorageError(text) from e
    seconds = time.monotonic() - start
    return ExportResult(
        path=str(config.out),
        step=checkpoint.manifest.step,
        rows=rows,
        folder_bytes=folder_bytes,
        seconds=seconds,
        value_inputs=tuple(model.value_inputs.specs) if model.value_inputs is not None else (),
    )


def _model_to_export(checkpoint: Checkpoint, progress: Progress, calibrate: bool) -> Any:
    from esmm_dist.checkpoint.sorted_rows import read_sorted_rows
    from esmm_dist.embedding.start_values import StartValues
    from esmm_dist.inference.exported_model import ExportedModel, ExportedTable
    from esmm_dist.inference.exported_towers import ExportedTowers
    from esmm_dist.inference.trained_model import dense_model, embedding_of, transform_of

    manifest = checkpoint.manifest
    embedding, seed = embedding_of(checkpoint), int(manifest.settings["seed"])
    progress.start("Reading rows", manifest.num_rows(), "rows")
    try:
        tables = {}
        for name in manifest.schema.tables:
            dim = embedding.dim_of(name)
            start = StartValues(embedding_dim=dim, scale=embedding.start_range, seed=seed)
            rows = read_sorted_rows(checkpoint, name, dim, progress)
            tables[name] = ExportedTable(rows, start, seed=seed, name=name)
    finally:
        progress.finish()
    transform = transform_of(checkpoint)
    if not calibrate:
        transform = replace(transform, curves=None)
    towers = ExportedTowers(manifest.schema, dense_model(checkpoint), transform)
    return ExportedModel(manifest.schema, towers, tables)


def _write(out: Path, model: Any, description: dict[str, Any]) -> int:
    """Save a model, and return the bytes of its files."""
    from esmm_dist.inference.served_export import save_model, write_towers

    temporary = out.with_name(f".{out.name}.exporting")
    shutil.rmtree(temporary, ignore_errors=True)
    make_folder_durable(out.parent)
    try:
        save_model(model, temporary)
        write_towers(model.towers, temporary)
        about = temporary / DESCRIPTION
        about.parent.mkdir()
        about.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
        size = sum(path.stat().st_size for path in temporary.rglob("*") if path.is_file())
        if out.exists():  # meanwhile; a rename would replace an empty folder
            raise FileExistsError(f"{out} was made by someone else meanwhile")
        replace_durable(temporary, out)
        return size
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
