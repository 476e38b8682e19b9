"""Summarise one checkpoint, and look single rows up in it, without a model and without TensorFlow."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from esmm_dist.arrays import Ids
from esmm_dist.calibration.calibration import Calibration
from esmm_dist.checkpoint.format import checkpoint_folder, read_checkpoint_manifest
from esmm_dist.checkpoint.reader import Checkpoint, open_checkpoint, verify_tables
from esmm_dist.embedding.placement import bucket_of
from esmm_dist.embedding.table_files import TableFile, read_rows
from esmm_dist.errors import CheckpointError, ConfigError
from esmm_dist.schema.label_tree import LabelTree
from esmm_dist.storage.folder import Folder

SHOWN_SETTINGS = ("data", "run", "seed", "input", "embedding", "model", "dense")
"""Settings, and groups of them, that decide what the weights and rows are."""


@dataclass(frozen=True, kw_only=True)
class CheckpointSummary:
    """One checkpoint at a glance, from its manifest and its dense file."""

    step: int
    path: str
    saved_at: str
    """UTC, ISO 8601."""
    size_bytes: int
    """All of its files."""
    files: int
    schema: str
    labels: LabelTree
    rows: dict[str, int]
    """Rows by table."""
    candidates: dict[str, int]
    """By table: ids that are counted but have no row yet."""
    dense_shapes: dict[str, tuple[int, ...]]
    """Shapes of the dense weights and optimizer variables, by name; empty if the dense file is damaged."""
    settings: dict[str, Any]
    """Those of SHOWN_SETTINGS."""
    metrics: dict[str, Any]
    """The newest evaluation it was saved with; empty if there was none."""
    calibration: Calibration | None
    """How its probabilities are calibrated; None: they are not."""
    data_sets: Sequence[Mapping[str, Any]]
    """The data sets that the run had learned from, as ``DataSetRecord`` has them; empty in one from before they were
    listed."""
    state: str
    """``ok``: all files have their checksums. Otherwise what is damaged."""


@dataclass(frozen=True, kw_only=True)
class SavedRow:
    """What a checkpoint holds of one id."""

    id: int
    row: list[float] | None
    """None: the id has no row, and reads its start value."""
    slots: list[float]
    """Slot variables of the optimizer."""
    last_step: int
    count: int


def summarise_checkpoint(run: Folder, step: int) -> CheckpointSummary:
    """Summarise the checkpoint of a step; reads every byte of it, to compare the checksums.

    Raises:
        CheckpointError: There is no such checkpoint, or its manifest is damaged.
        StorageError: The storage refuses.
    """
    folder = checkpoint_folder(run, step)
    shapes: dict[str, tuple[int, ...]] = {}
    state = "ok"
    try:
        checkpoint = open_checkpoint(run, step)
        shapes = {name: array.shape for name, array in sorted(checkpoint.dense().items())}
        verify_tables(checkpoint)
        manifest = checkpoint.manifest
    except CheckpointError as e:
        if not folder.exists():
            raise
        manifest = read_checkpoint_manifest(folder)  # without it there is nothing to show, but its own error
        state = f"damaged: {e}"
    counted = {kind: Counter[str]() for kind in ("rows", "candidates")}
    for file in manifest.tables:
        counted[file.kind][file.table] += file.rows
    sizes = folder.file_sizes()
    return CheckpointSummary(
        step=manifest.step,
        path=str(folder),
        saved_at=manifest.saved_at,
        size_bytes=sum(sizes.values()),
        files=len(sizes),
        schema=manifest.schema.name,
        labels=manifest.schema.label_tree,
        rows=dict(counted["rows"]),
        candidates=dict(counted["candidates"]),
        dense_shapes=shapes,
        settings={name: manifest.settings[name] for name in SHOWN_SETTINGS if name in manifest.settings},
        metrics=manifest.metrics,
        calibration=manifest.calibration,
        data_sets=tuple(manifest.state.get("data_sets", ())),
        state=state,
    )


def find_rows(checkpoint: Checkpoint, table: str | None, ids: Sequence[int]) -> list[SavedRow]:
    """Look ids up in a saved table, in their order. Only the files of their buckets are read.

    Args:
        checkpoint: checkpoint to search
        table: name of the table; None: the only one
        ids: feature ids, in any order

    Raises:
        ConfigError: There is no such table, or several and none is named.
        CheckpointError: A file is damaged.
        StorageError: The storage refuses.
    """
    table = _chosen_table(checkpoint, table)
    wanted = np.unique(np.array(ids, dtype=np.int64))
    buckets = bucket_of(wanted)
    found: dict[int, SavedRow] = {}
    for file in checkpoint.manifest.tables:
        here = wanted[(buckets >= file.first_bucket) & (buckets < file.last_bucket)]
        if file.table == table and file.kind == "rows" and len(here):
            found |= {row.id: row for row in _rows_of(checkpoint.folder, file, here)}
    return [found.get(each) or SavedRow(id=each, row=None, slots=[], last_step=0, count=0) for each in ids]


def _rows_of(folder: Folder, file: TableFile, ids: Ids) -> Iterator[SavedRow]:
    saved = read_rows(folder, file)
    for number in np.flatnonzero(np.isin(saved.ids, ids)):
        yield SavedRow(
            id=int(saved.ids[number]),
            row=saved.rows[number].tolist(),
            slots=saved.slots[number].tolist(),
            last_step=int(saved.last_step[number]),
            count=int(saved.count[number]),
        )


def _chosen_table(checkpoint: Checkpoint, table: str | None) -> str:
    tables = checkpoint.manifest.schema.tables
    known = ", ".join(tables)
    if table is None and len(tables) > 1:
        raise ConfigError(f"{checkpoint.folder} holds {len(tables)} tables. Give one as --table: {known}.")
    if table is not None and table not in tables:
        raise ConfigError(f"{checkpoint.folder} holds no table '{table}'. It holds: {known}.")
    return table or tables[0]
