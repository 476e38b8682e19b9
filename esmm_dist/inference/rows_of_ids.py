"""The rows of some ids of a checkpoint, as it has them and as an export has them, in the memory of these ids alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F32, Ids
from esmm_dist.checkpoint.reader import Checkpoint
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.embedding.table_files import read_rows
from esmm_dist.inference.exported_rows import ExportedRows
from esmm_dist.inference.trained_model import embedding_of
from esmm_dist.progress import Progress
from esmm_dist.served_model.row_types import read_back, stored_rows


@dataclass(frozen=True, kw_only=True)
class RowsOfIds:
    """Rows of some ids of one table."""

    ids: Ids
    """int64 [U], ascending"""
    trained: F32
    """float32 [U, D], of the checkpoint"""
    exported: F32
    """float32 [U, D], of the export"""

    def places(self, ids: Ids) -> Ids:
        """Return the places of ids that are among them: int64 [n]."""
        return np.searchsorted(self.ids, ids)


def rows_of_ids(
    checkpoint: Checkpoint, choice: ExportedRows, ids: Mapping[str, Ids], progress: Progress
) -> dict[str, RowsOfIds]:
    """Find the rows of ids, a file of the checkpoint at a time; an id without a row has its start value.

    Args:
        checkpoint: the checkpoint
        choice: rows that the export has, and how they are stored
        ids: int64 [U] by table, ascending
        progress: receives the number of rows of each file

    Raises:
        CheckpointError: A file of rows is missing or damaged.
    """
    manifest = checkpoint.manifest
    embedding, seed = embedding_of(checkpoint), int(manifest.settings["seed"])
    found = {}
    for table, wanted in ids.items():
        start = StartValues(embedding_dim=embedding.dim_of(table), scale=embedding.start_range, seed=seed)
        trained = start.rows(wanted)
        exported = trained.copy()
        keep = choice.keep(table)
        for file in manifest.tables:
            if file.table != table or file.kind != "rows":
                continue
            rows = read_rows(checkpoint.folder, file)
            progress.advance(file.rows)
            rows = rows.chosen(np.isin(rows.ids, wanted))
            trained[np.searchsorted(wanted, rows.ids)] = rows.rows
            rows = rows.chosen(keep(rows))
            stored = stored_rows(rows.ids, rows.rows, choice.row_type, where=f"{checkpoint.folder}/{file.path}")
            exported[np.searchsorted(wanted, rows.ids)] = read_back(stored.values, stored.scales)
        found[table] = RowsOfIds(ids=wanted, trained=trained, exported=exported)
    return found
