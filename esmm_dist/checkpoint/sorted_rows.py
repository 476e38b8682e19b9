"""Read all rows of a checkpoint's table, ordered by id, straight from its files: no store, no server."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from esmm_dist.checkpoint.reader import Checkpoint
from esmm_dist.embedding.table_files import read_rows
from esmm_dist.errors import CheckpointError, CheckpointMismatchError
from esmm_dist.progress import Progress


@dataclass(frozen=True, kw_only=True)
class SortedRows:
    """All rows of one table."""

    ids: npt.NDArray[np.int64]
    """int64 [N], strictly ascending"""
    rows: npt.NDArray[np.float32]
    """float32 [N, D]"""


def read_sorted_rows(checkpoint: Checkpoint, table: str, embedding_dim: int, progress: Progress) -> SortedRows:
    """Read all rows of a table, however many servers wrote them; verifies each file's checksum.

    Takes the memory of the rows once, and beside it that of one file and 12 bytes a row.

    Args:
        checkpoint: holds the files of rows
        table: name of the table
        embedding_dim: D
        progress: receives the number of rows of each file

    Raises:
        CheckpointError: A file is missing or damaged, or two of them hold the same id.
        CheckpointMismatchError: Rows have another dimension.
    """
    files = [file for file in checkpoint.manifest.tables if file.table == table and file.kind == "rows"]
    total = sum(file.rows for file in files)
    ids, rows = np.empty(total, dtype=np.int64), np.empty((total, embedding_dim), dtype=np.float32)
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
        ids[filled : filled + file.rows], rows[filled : filled + file.rows] = found.ids, found.rows
        filled += file.rows
        progress.advance(file.rows)
    order = np.argsort(ids)
    ids = ids[order]
    if (ids[1:] == ids[:-1]).any():
        raise CheckpointError(f"{checkpoint.folder}: table '{table}' has two rows of one id. Use another checkpoint.")
    for column in range(embedding_dim):  # one at a time: a sorted copy of all would double the memory
        rows[:, column] = rows[order, column]
    return SortedRows(ids=ids, rows=rows)
