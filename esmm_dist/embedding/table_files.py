"""The rows of a table as Arrow IPC files, one a range of buckets: what a checkpoint holds of a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import google_crc32c
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esmm_dist.embedding.placement import bucket_ranges
from esmm_dist.embedding.table_rows import TableRows
from esmm_dist.errors import CheckpointError, CheckpointMismatchError
from esmm_dist.storage import Folder

if TYPE_CHECKING:  # whoever only reads files needs no TensorFlow
    from esmm_dist.embedding.table import EmbeddingTable

_ROWS_A_FILE = 250_000
_ROWS_A_BATCH = 65_536

Kind = Literal["rows", "candidates"]


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """One file of a saved table."""

    path: str
    """Plain name within the checkpoint's folder."""
    table: str
    kind: Kind
    first_bucket: int
    last_bucket: int
    """The file holds what the table has in buckets ``[first_bucket, last_bucket)``."""
    rows: int
    """Rows, or candidates."""
    file_bytes: int
    crc32c: int


def save_table(folder: Folder, table: "EmbeddingTable") -> list[TableFile]:
    """Write all rows of a table.

    Raises:
        RetryError: The storage refused.
    """
    files = []
    for first, last in bucket_ranges(min(64, max(1, -(-len(table) // _ROWS_A_FILE)))):
        rows = table.export(first, last)
        columns = {"id": pa.array(rows.ids), "row": _vectors(rows.rows)}
        if rows.slots.shape[1]:
            columns["slots"] = _vectors(rows.slots)
        columns |= {"last_step": pa.array(rows.last_step), "count": pa.array(rows.count)}
        sink = pa.BufferOutputStream()
        arrow = pa.table(columns)
        with pa.ipc.new_file(sink, arrow.schema) as writer:
            writer.write_table(arrow, max_chunksize=_ROWS_A_BATCH)
        data = sink.getvalue().to_pybytes()
        name = f"{table.name}-{first:04d}-{last:04d}.arrow"
        folder.write_bytes(name, data)
        files.append(
            TableFile(
                path=name,
                table=table.name,
                kind="rows",
                first_bucket=first,
                last_bucket=last,
                rows=len(rows.ids),
                file_bytes=len(data),
                crc32c=int(google_crc32c.value(data)),
            )
        )
    return files


def restore_table(folder: Folder, table: "EmbeddingTable", files: Sequence[TableFile]) -> None:
    """Add the rows of a table's files to an empty table.

    Raises:
        CheckpointMismatchError: The rows have another shape than the table's.
        CheckpointError: A file is missing or damaged.
    """
    for file in files:
        if file.table != table.name or file.kind != "rows":
            continue
        rows = read_rows(folder, file)
        try:
            table.load(rows)
        except ValueError as e:
            raise CheckpointMismatchError(
                f"{folder}/{file.path} does not fit this run: {e}. Use its own settings, or another run."
            ) from e


def read_rows(folder: Folder, file: TableFile) -> TableRows:
    """Read one file of rows.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    where = f"{folder}/{file.path}"
    try:
        data = folder.read_bytes(file.path)
    except FileNotFoundError as e:
        raise CheckpointError(f"{where} is missing.") from e
    if len(data) != file.file_bytes:
        raise CheckpointError(f"{where} has {len(data)} bytes, the manifest says {file.file_bytes}.")
    if google_crc32c.value(data) != file.crc32c:
        raise CheckpointError(f"{where} has another checksum than the manifest: its bytes changed.")
    try:
        arrow = pa.ipc.open_file(pa.BufferReader(data)).read_all()
    except pa.ArrowException as e:
        raise CheckpointError(f"{where} is not an Arrow file: {e}.") from e
    ids = arrow["id"].to_numpy()
    slots = _matrix(arrow["slots"], len(ids)) if "slots" in arrow.column_names else np.empty((len(ids), 0), np.float32)
    return TableRows(
        ids=ids,
        rows=_matrix(arrow["row"], len(ids)),
        slots=slots,
        last_step=arrow["last_step"].to_numpy(),
        count=arrow["count"].to_numpy(),
    )


def _vectors(matrix: npt.NDArray[np.float32]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])


def _matrix(column: pa.ChunkedArray, rows: int) -> npt.NDArray[np.float32]:
    values = column.combine_chunks().flatten().to_numpy()
    return np.asarray(values, dtype=np.float32).reshape(rows, column.type.list_size)
