"""Rows of one table and bucket range as an Arrow IPC file."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esmm_dist.embedding.table_rows import TableRows

_ROWS_A_BATCH = 65_536


def write_table_file(path: Path, rows: TableRows) -> None:
    """Write rows ordered by id.

    Raises:
        OSError: The disk is full or not writable.
    """
    columns = {"id": pa.array(rows.ids), "row": _vectors(rows.rows)}
    if rows.slots.shape[1]:
        columns["slots"] = _vectors(rows.slots)
    columns |= {"last_step": pa.array(rows.last_step), "count": pa.array(rows.count)}
    table = pa.table(columns)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=_ROWS_A_BATCH)


def read_table_file(path: Path) -> TableRows:
    """Read a file that ``write_table_file`` wrote.

    Raises:
        pyarrow.ArrowInvalid: It is not such a file.
    """
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
    ids = table["id"].to_numpy()
    slots = _matrix(table["slots"], len(ids)) if "slots" in table.column_names else np.empty((len(ids), 0), np.float32)
    return TableRows(
        ids=ids,
        rows=_matrix(table["row"], len(ids)),
        slots=slots,
        last_step=table["last_step"].to_numpy(),
        count=table["count"].to_numpy(),
    )


def _vectors(matrix: npt.NDArray[np.float32]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])


def _matrix(column: pa.ChunkedArray, rows: int) -> npt.NDArray[np.float32]:
    values = column.combine_chunks().flatten().to_numpy()
    return np.asarray(values, dtype=np.float32).reshape(rows, column.type.list_size)
