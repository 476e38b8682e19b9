"""Write a run's model as a TensorFlow SavedModel, for a process that has TensorFlow and nothing of this project.

Beside it stands what ``esmm serve`` maps from disk.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.checkpoint.reader import Checkpoint
from esmm_dist.config import to_mapping
from esmm_dist.errors import ConfigError
from esmm_dist.inference.delta_base import DeltaBase, check_delta_out, find_base, settings_of_base
from esmm_dist.inference.delta_rows import DeltaRows
from esmm_dist.inference.export_folder import DESCRIPTION, write_description, write_version
from esmm_dist.inference.export_result import ExportResult
from esmm_dist.inference.exported_rows import ExportedRows, LeftOutRows, ids_of_other_fields
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.progress import Progress
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.value_ids import field_of_name
from esmm_dist.served_model.manifest import RowType
from esmm_dist.served_model.version_folders import DELTA_SUFFIX
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials

if TYPE_CHECKING:
    from esmm_dist.inference.exported_model import ExportedModel

__all__ = ["DESCRIPTION", "ExportConfig", "ExportResult", "export"]


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

    form: Literal["whole", "shards"] = "whole"
    """``whole``: a SavedModel, for any TensorFlow, and beside it the folder ``served``, which esmm serve maps.
    ``shards``: only what esmm serve needs; rows pass through memory a file at a time, so that a table may be larger
    than it."""

    dtype: RowType = "float32"
    """How rows are stored: as they are, or float16 or int8 with one scale a row, in a half or a quarter of the bytes.
    The change of AUC is measured."""

    min_count: int = 0
    """Least number of training steps that have changed a row; rows with fewer are left out, and their ids read the
    start value as unseen ids do. 0: none is. A checkpoint counts steps, not impressions: several of one step count
    once."""

    fields: tuple[str, ...] = ()
    """Fields, by name or alias, whose values the exported model uses; others count as missing. Empty: all."""

    data: Path | None = None
    """Data set whose validation split (test, if it has none) the change of AUC is measured on, and whose vocabulary
    says which rows belong to which field. None: the one that the run was trained on, if it is there."""

    delta_since: str | None = None
    """Write a delta, what has changed since another version beside ``out``: its name (``1``, ``2.delta``), or the step
    of the checkpoint that it was made of (``step:1200``, or 1200 where no version has that number). dtype, min_count,
    fields and calibrate are those of that version. None: a whole version."""

    out: Path
    """Folder to write, which must not exist: a model must not change while a server serves it. That of a delta has a
    number and ends in ``.delta``."""

    def __post_init__(self) -> None:
        if self.delta_since is not None:
            check_delta_out(self.out)
        elif self.out.name.endswith(DELTA_SUFFIX):
            raise ConfigError(
                f"out is {self.out}, which is the name of a delta. Say since when (--delta-since VERSION), or leave "
                f"{DELTA_SUFFIX} out."
            )
        if self.out.exists() or self.out.is_symlink():
            raise ConfigError(f"out is {self.out}, which exists. Give the name of a new folder, or remove it.")
        if self.min_count < 0:
            raise ConfigError(f"min_count is {self.min_count}. Give 0, which leaves out no row, or more.")
        _ = self.checkpoint  # checks run and step

    @property
    def checkpoint(self) -> CheckpointChoice:
        """The checkpoint that is exported."""
        return CheckpointChoice.parse(self.run, self.step)

    @property
    def changes_answers(self) -> bool:
        """Whether the exported model answers otherwise than the trained one."""
        return self.dtype != "float32" or self.min_count > 0 or bool(self.fields)


def export(
    config: ExportConfig, progress: Progress, *, base: DeltaBase | None = None, measures: bool = True
) -> ExportResult:
    """Write a version; see README.md for what it holds.

    It is written under a hidden temporary name beside ``out`` and renamed, so a folder ``out`` is always whole. What an
    export that was killed has left there is removed by the next one to the same ``out``.

    Args:
        config: settings
        progress: receives progress
        base: version that a delta is made from, wherever it is; None: the one that ``delta_since`` names, if it does
        measures: whether the change of AUC is measured where settings make one

    Raises:
        CheckpointError: The run has no (such) checkpoint, or it is damaged.
        ConfigError: There is no such version to make a delta from, or it does not fit the run or the settings.
        ServedModelError: The version to make a delta from is damaged.
        StorageError: The folder cannot be written.
        EsmmError: Whatever else reading the run raises.
    """
    start = time.monotonic()
    if base is None and config.delta_since is not None:
        models = Folder.open(config.out.parent)
        base = DeltaBase.of(models, find_base(models, config.delta_since))
    if base is not None:
        base.check_run(config.checkpoint.run)
        base.check_out(config.out)
        config = _like_base(config, base)
    import_tensorflow()  # here, so that reading settings and help does not wait for it
    from esmm_dist.inference.auc_change import measure_change
    from esmm_dist.inference.trained_model import probability_lines

    exports: list[_Export] = []

    def take(checkpoint: Checkpoint) -> None:
        exports.append(_Export(config, checkpoint, progress, base))

    config.checkpoint.restore(progress, take)
    [one] = exports
    for line in probability_lines(one.checkpoint.manifest, calibrate=config.calibrate):
        progress.message(line)
    folder_bytes = write_version(config.out, one.write)
    change = None
    if measures and base is None and config.changes_answers and one.data.manifest is not None:
        change = measure_change(one.checkpoint, one.data, one.choice, (one.trained_towers, one.towers), progress)
    return ExportResult(
        path=str(config.out),
        step=one.checkpoint.manifest.step,
        rows=one.rows,
        folder_bytes=folder_bytes,
        seconds=time.monotonic() - start,
        value_inputs=one.value_inputs,
        model_id=one.model_id,
        rows_left_out=asdict(one.left_out),
        auc_change=change,
        delta=one.delta,
        notes=one.notes(),
    )


def _like_base(config: ExportConfig, base: DeltaBase) -> ExportConfig:
    """Return the settings with those of a base that decide what a version holds.

    Raises:
        ConfigError: One that is given contradicts the base.
    """
    all_ = {
        "dtype": config.dtype,
        "min_count": config.min_count,
        "fields": sorted(config.fields) or None,
        "calibrate": config.calibrate,
    }
    defaults = {"dtype": "float32", "min_count": 0, "fields": None, "calibrate": True}
    return config_like(
        config, settings_of_base(base, {name: value for name, value in all_.items() if value != defaults[name]})
    )


def config_like(config: ExportConfig, settings: Mapping[str, Any]) -> ExportConfig:
    """Return settings with others that decide what a version holds: those that a manifest has."""
    names = ("dtype", "min_count", "calibrate")
    fields = tuple(settings["fields"] or ())
    return replace(config, **{name: settings[name] for name in names}, fields=fields)


class _Export:
    """One export of a checkpoint that can be read."""

    def __init__(
        self, config: ExportConfig, checkpoint: Checkpoint, progress: Progress, base: DeltaBase | None
    ) -> None:
        """Read what is to be written, but for the rows of ``served``.

        Raises:
            CheckpointError: The checkpoint is damaged.
            ConfigError: ``fields`` names a field that the model does not see.
            EsmmError: The data set that was given cannot be read.
        """
        from esmm_dist.checkpoint.reader import verify_tables
        from esmm_dist.inference.exported_towers import ExportedTowers
        from esmm_dist.inference.reached_data import ReachedData
        from esmm_dist.inference.trained_model import dense_model, transform_of

        self.config, self.checkpoint, self._progress, self._base = config, checkpoint, progress, base
        manifest = checkpoint.manifest
        model, transform = dense_model(checkpoint), transform_of(checkpoint)
        if not config.calibrate:
            transform = replace(transform, curves=None)
        used = used_fields(manifest.schema, config.fields, [field.name for field in model.seen_fields])
        self.trained_towers = ExportedTowers(manifest.schema, model, transform)
        self.towers = ExportedTowers(manifest.schema, model, transform, used=used)
        self.data: ReachedData = ReachedData.of(manifest, config.data, config.checkpoint.run)
        self.choice = ExportedRows(row_type=config.dtype, min_count=config.min_count)
        if used is not None and self.data.manifest is not None:
            others = ids_of_other_fields(self.data.folder, self.data.manifest, manifest.schema, used)
            self.choice = replace(self.choice, of_other_fields=others)
        self._model = None
        if config.form == "whole" and base is None:
            self._model = self._whole()
        else:
            verify_tables(checkpoint)  # before anything is written: another checkpoint may do
        self.left_out = LeftOutRows()
        self.rows: dict[str, int] = {}
        self.delta: DeltaRows | None = None
        self.model_id = ""

    @property
    def value_inputs(self) -> tuple[str, ...]:
        """Inputs of the signature ``values``."""
        return () if self._model is None else tuple(self._model.value_inputs.specs)

    def notes(self) -> tuple[str, ...]:
        """Return what a reader of the report should know."""
        notes = []
        if self.config.changes_answers and self.data.manifest is None:
            notes.append(f"The change of AUC was not measured: {self.data.why_not} Give the data set by --data.")
        if self.config.fields and self.data.manifest is None:
            notes.append(
                "Rows of fields that are not used were exported too: only a data set says which they are (--data)."
            )
        return tuple(notes)

    def write(self, version: Path) -> None:
        """Write the version.

        Raises:
            CheckpointError: A file of rows is missing or damaged.
            ServedModelError: A row is not finite.
            OSError: The folder cannot be written.
        """
        from esmm_dist.inference.export_assets.write import write_assets
        from esmm_dist.inference.served_export import (
            content_of,
            save_model,
            tables_to_serve,
            write_served,
            write_served_delta,
        )
        from esmm_dist.served_model.mapped_model import MappedModel

        if self._model is not None:
            self._progress.message("Writing the SavedModel.")
            save_model(self._model, version)
        run = without_credentials(Folder.open(self.config.checkpoint.run).location)
        content = content_of(self.checkpoint, run, self.towers, self._settings())
        with self._rows_progress("Writing served rows"):
            tables = tables_to_serve(self.checkpoint, self.choice, self._progress, self.left_out)
            if self._base is None:
                served = write_served(version, content, self.towers, tables)
            else:
                served, self.delta = write_served_delta(version, content, self.towers, tables, self._base)
        self.rows, self.model_id = {table.name: table.rows for table in served.tables}, served.model_id
        write_description(version, self._description(run))
        self._progress.message("Writing examples with their answers.")
        below = () if self._base is None else self._base.folders
        mapped = MappedModel.open([*below, version], verify=False)  # written a moment ago
        write_assets(version, mapped, self.checkpoint, self.towers, self.data, with_warmup=self._model is not None)

    def _settings(self) -> dict[str, str | int | bool | list[str] | None]:
        """Return the settings that decide the content."""
        return {
            "dtype": self.config.dtype,
            "min_count": self.config.min_count,
            "fields": sorted(self.config.fields) or None,
            "calibrate": self.config.calibrate,
        }

    def _description(self, run: str) -> dict[str, Any]:
        from esmm_dist.schema.value_inputs import named_inputs

        manifest, transform = self.checkpoint.manifest, self.towers.transform
        return {
            "run": run,
            "step": manifest.step,
            "model_id": self.model_id,
            "rows": self.rows,
            "settings": self._settings(),
            "keep_negatives": transform.keep_negatives,
            "calibration": to_mapping(manifest.calibration) if transform.curves is not None else None,
            "schema": to_mapping(manifest.schema),
            "values": {name: asdict(column) for name, column in named_inputs(manifest.schema).items()},
        }

    def _whole(self) -> "ExportedModel":
        """Read all rows."""
        from esmm_dist.checkpoint.sorted_rows import read_sorted_rows
        from esmm_dist.embedding.start_values import StartValues
        from esmm_dist.inference.exported_model import ExportedModel
        from esmm_dist.inference.exported_table import ExportedTable
        from esmm_dist.inference.trained_model import embedding_of

        manifest = self.checkpoint.manifest
        embedding, seed = embedding_of(self.checkpoint), int(manifest.settings["seed"])
        tables = {}
        with self._rows_progress("Reading rows"):
            for name in manifest.schema.tables:
                dim, keep = embedding.dim_of(name), self.choice.keep(name)
                start = StartValues(embedding_dim=dim, scale=embedding.start_range, seed=seed)
                rows = read_sorted_rows(
                    self.checkpoint, name, dim, self._progress, keep=keep, row_type=self.choice.row_type
                )
                tables[name] = ExportedTable(rows, start, seed=seed, name=name)
        return ExportedModel(manifest.schema, self.towers, tables)

    @contextmanager
    def _rows_progress(self, what: str) -> Iterator[None]:
        self._progress.start(what, self.checkpoint.manifest.num_rows(), "rows")
        try:
            yield
        finally:
            self._progress.finish()


def used_fields(schema: Schema, names: tuple[str, ...], seen: list[str]) -> frozenset[str] | None:
    """Return the names of the fields whose values an exported model uses; None: all.

    Args:
        schema: schema of the model
        names: names or aliases, as given; empty: all
        seen: names of the fields that the model sees

    Raises:
        ConfigError: There is no such field, or the model does not see it.
    """
    if not names:
        return None
    used = {field_of_name(schema, name).name for name in names}
    unseen = sorted(used - set(seen))
    if unseen:
        raise ConfigError(
            f"fields names '{unseen[0]}', which the model does not see (model.fields of its training). It sees: "
            f"{', '.join(seen)}."
        )
    return frozenset(used)
