"""Read all rows of a checkpoint's table, ordered by id, straight from its files: no store, no server."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F32, Array, Bools, Ids
from esmm_dist.checkpoint.reader import Checkpoint
from esmm_dist.embedding.table_files import read_rows
from esmm_dist.embedding.table_rows import TableRows
from esmm_dist.errors import CheckpointError, CheckpointMismatchError
from esmm_dist.progress import Progress
from esmm_dist.served_model.manifest import RowType
from esmm_dist.served_model.row_types import dtype_of, stored_rows


@dataclass(frozen=True, kw_only=True)
class SortedRows:
    """All rows of one table."""

    ids: Ids
    """int64 [N], strictly ascending"""
    rows: Array
    """[N, D] of a row type, see ``served_model.row_types``"""
    scales: F32 | None = None
    """float32 [N]: what each row is multiplied by; None: 1, of float32 rows"""


def read_sorted_rows(
    checkpoint: Checkpoint,
    table: str,
    embedding_dim: int,
    progress: Progress,
    *,
    keep: Callable[[TableRows], Bools] | None = None,
    row_type: RowType = "float32",
) -> SortedRows:
    """Read the rows of a table, however many servers wrote them; verifies each file's checksum.

    Takes the memory of the rows once as they are stored, and beside it that of one file and 12 bytes a row.

    Args:
        checkpoint: holds the files of rows
        table: name of the table
        embedding_dim: D
        progress: receives the number of rows of each file
        keep: returns which rows of a file are wanted, bool [n]; None: all
        row_type: how rows are stored

    Raises:
        CheckpointError: A file is missing or damaged, or two of them hold the same id.
        CheckpointMismatchError: Rows have another dimension.
        ServedModelError: A row is not finite.
    """
    files = [file for file in checkpoint.manifest.tables if file.table == table and file.kind == "rows"]
    total = sum(file.rows for file in files)
    ids, rows = np.empty(total, dtype=np.int64), np.empty((total, embedding_dim), dtype=dtype_of(row_type))
    scales = np.empty(0 if row_type == "float32" else total, dtype=np.float32)
    filled = 0
    for file in files:
        found = read_rows(checkpoint.folder, file)
        where = f"{checkpoint.folder}/{file.path}"
        if found.rows.shape[1] != embedding_dim:
            raise CheckpointMismatchError(
                f"{where} has rows of {found.rows.shape[1]} columns, but its settings say embedding_dim "
                f"{embedding_dim}. Use another checkpoint."
            )
        if len(found.ids) != file.rows:
            raise CheckpointError(f"{where} has {len(found.ids)} rows, the manifest says {file.rows}.")
        if keep is not None:
            found = found.chosen(keep(found))
        stored = stored_rows(found.ids, found.rows, row_type, where=where)
        places = slice(filled, filled + len(found.ids))
        ids[places], rows[places] = found.ids, stored.values
        if stored.scales is not None:
            scales[places] = stored.scales
        filled = places.stop
        progress.advance(file.rows)
    ids, rows = ids[:filled], rows[:filled]
    order = np.argsort(ids)
    ids = ids[order]
    if (ids[1:] == ids[:-1]).any():
        raise CheckpointError(f"{checkpoint.folder}: table '{table}' has two rows of one id. Use another checkpoint.")
    for column in range(embedding_dim):  # one at a time: a sorted copy of all would double the memory
        rows[:, column] = rows[order, column]
    return SortedRows(ids=ids, rows=rows, scales=None if row_type == "float32" else scales[order])
