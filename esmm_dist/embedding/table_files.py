"""The rows of a table as Arrow IPC files, one a range of buckets: what a checkpoint holds of a table.

A file of rows has the columns ``id`` int64, ``row`` float32[D], ``slots`` float32[S] (absent if S = 0), ``last_step``
and ``count`` int64; a file of candidates (ids that are counted but not admitted yet) has ``id``, ``impressions`` and
``last_step`` int64. Both are ordered by id.
"""

import queue
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import google_crc32c
import numpy as np
import pyarrow as pa

from esmm_dist.arrays import F32, I64, U8, Bools
from esmm_dist.embedding.placement import bucket_of, bucket_ranges_within
from esmm_dist.embedding.table_rows import Candidates, TableRows
from esmm_dist.errors import CheckpointError, CheckpointMismatchError
from esmm_dist.storage.checksummed_output import ChecksummedOutput, checksummed_output
from esmm_dist.storage.folder import Folder

if TYPE_CHECKING:  # whoever only reads files needs no TensorFlow
    from esmm_dist.embedding.table import EmbeddingTable

_ROWS_A_FILE = 250_000  # 54 MB with Adam's slots at D = 16
_FILES_AT_ONCE = 2  # that are written; restoring holds two as well, one that is loaded and the next
_ROWS_A_BATCH = 65_536
_LEAST_ROW_BYTES = 16  # an id and an impression count

Kind = Literal["rows", "candidates"]

_ROWS_COLUMNS = {"id": pa.int64(), "row": None, "slots": None, "last_step": pa.int64(), "count": pa.int64()}
"""Types by name; None: float32 lists of one length."""

_CANDIDATES_COLUMNS = {"id": pa.int64(), "impressions": pa.int64(), "last_step": pa.int64()}

_OPTIONAL = {"rows": "slots", "candidates": "last_step"}
"""Columns that a file may lack: optimizers without slot variables; releases before candidates aged"""


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


def save_table(folder: Folder, table: "EmbeddingTable", first_bucket: int, last_bucket: int) -> list[TableFile]:
    """Write what a table holds in buckets ``[first_bucket, last_bucket)``.

    Raises:
        RetryError: The storage refused.
    """
    files = _save_rows(
        folder, table, bucket_ranges_within(first_bucket, last_bucket, parts=-(-len(table) // _ROWS_A_FILE))
    )
    candidates = table.export_candidates(first_bucket, last_bucket)
    if len(candidates.ids):
        columns = {"id": candidates.ids, "impressions": candidates.impressions, "last_step": candidates.last_step}
        arrow = pa.table(columns)
        files.append(_write(folder, arrow, table.name, "candidates", first_bucket, last_bucket))
    return files


def restore_table(
    folder: Folder, table: "EmbeddingTable", files: Sequence[TableFile], buckets: tuple[int, int], *, step: int
) -> None:
    """Add the rows and candidates of a range of buckets to an empty table.

    Args:
        folder: folder of the files
        table: an empty table
        files: files of a checkpoint; those of other tables and buckets are not opened
        buckets: ``[first, last)``
        step: steps that the run has done; a row that was changed later, in the run that this one starts from, counts as
            changed then: its age must compare with that of this run's own rows

    Raises:
        CheckpointError: A file is missing or damaged; the message names it.
        CheckpointMismatchError: Its rows have another shape than the table's.
        RetryError: The storage refused.
    """
    chosen = [
        file
        for file in files
        if file.table == table.name and file.last_bucket > buckets[0] and file.first_bucket < buckets[1]
    ]
    table.expect(_expected_ids(folder, chosen, buckets))
    for file, arrow in _read_ahead(folder, chosen):
        try:
            for batch in arrow.to_batches():
                _load(table, file.kind, pa.Table.from_batches([batch]), _narrower(buckets, file), step=step)
        except (ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as e:
            raise CheckpointMismatchError(
                f"{folder}/{file.path} does not fit this run: {e}. Use its own settings, or another run."
            ) from e


def read_rows(folder: Folder, file: TableFile) -> TableRows:
    """Read one file of rows.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    return _table_rows(_read(folder, file, _Memory()))


def _save_rows(folder: Folder, table: "EmbeddingTable", ranges: Sequence[tuple[int, int]]) -> list[TableFile]:
    """Write one file for each range of buckets, several at once: one is copied while another waits for the disk."""
    numbers = table.row_numbers(ranges)
    at_once = min(len(ranges), _FILES_AT_ONCE)
    memories: queue.SimpleQueue[TableRows] = queue.SimpleQueue()  # used again: the system clears new memory first
    for _ in range(at_once):
        memories.put(TableRows.empty(max(map(len, numbers)), table.embedding_dim, table.slot_columns))

    def save(place: int) -> TableFile:
        memory, (first, last) = memories.get(), ranges[place]
        try:
            rows = memory.first(len(numbers[place]))
            table.copy_rows(numbers[place], rows)
            return _write(folder, _arrow_rows(rows), table.name, "rows", first, last)
        finally:
            memories.put(memory)

    files, begun = [], deque[Future[TableFile]]()
    with ThreadPoolExecutor(at_once, thread_name_prefix="save") as pool:
        for place in range(len(ranges)):
            if len(begun) > at_once:  # a disk that refuses one file is not tried with all others
                files.append(begun.popleft().result())
            begun.append(pool.submit(save, place))
        return files + [each.result() for each in begun]


def _write(folder: Folder, arrow: pa.Table, table: str, kind: Kind, first: int, last: int) -> TableFile:
    infix = "" if kind == "rows" else f".{kind}"
    name = f"{table}-{first:04d}-{last:04d}{infix}.arrow"
    with checksummed_output(folder, name) as output:
        _write_arrow(arrow, output)
    return TableFile(
        path=name,
        table=table,
        kind=kind,
        first_bucket=first,
        last_bucket=last,
        rows=arrow.num_rows,
        file_bytes=output.size,
        crc32c=output.crc32c,
    )


def _write_arrow(arrow: pa.Table, output: ChecksummedOutput) -> None:
    with pa.ipc.new_file(pa.PythonFile(output, mode="w"), arrow.schema) as writer:
        writer.write_table(arrow, max_chunksize=_ROWS_A_BATCH)


def _read_ahead(folder: Folder, files: Sequence[TableFile]) -> Iterator[tuple[TableFile, pa.Table]]:
    """Yield files with what they hold, while the next one is read; its memory is used again for the one after that."""
    memories = (_Memory(), _Memory())
    with ThreadPoolExecutor(1, thread_name_prefix="restore") as pool:
        coming: deque[Future[pa.Table]] = deque()
        for place, file in enumerate(files):
            if not coming:
                coming.append(pool.submit(_read, folder, file, memories[place % 2]))
            arrow = coming.popleft().result()
            if place + 1 < len(files):
                coming.append(pool.submit(_read, folder, files[place + 1], memories[(place + 1) % 2]))
            yield file, arrow


class _Memory:
    """Memory that is as large as what was asked for last, or larger."""

    def __init__(self) -> None:
        self._bytes: U8 = np.empty(0, dtype=np.uint8)

    def of(self, size: int) -> U8:
        """Return ``size`` bytes, whose content is arbitrary; what was returned before is overwritten with them."""
        if len(self._bytes) < size:
            self._bytes = np.empty(size, dtype=np.uint8)
        return self._bytes[:size]


def _read(folder: Folder, file: TableFile, memory: _Memory) -> pa.Table:
    """Read a file once, whole, and compare it with its description before any of it is used."""
    where = f"{folder}/{file.path}"
    try:
        with folder.open_input(file.path) as stream:
            data = memory.of(stream.size())
            data = data[: stream.readinto(data)]
    except FileNotFoundError as e:
        raise CheckpointError(f"{where} is missing.") from e
    if len(data) != file.file_bytes:
        raise CheckpointError(f"{where} has {len(data)} bytes, the manifest says {file.file_bytes}.")
    if google_crc32c.value(data) != file.crc32c:
        raise CheckpointError(f"{where} has another checksum than the manifest: its bytes changed.")
    try:
        arrow = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(data))).read_all()
        arrow.validate(full=True)  # offsets and lengths that lead out of the file are found here
    except (pa.ArrowException, OSError, UnicodeDecodeError) as e:  # the last: a column's name
        raise CheckpointError(f"{where} is not an Arrow file: {e}.") from e
    problem = _problem(arrow, file)
    if problem:
        raise CheckpointError(f"{where} is not a file of {file.kind}: {problem}.")
    return arrow


def _load(table: "EmbeddingTable", kind: Kind, arrow: pa.Table, within: tuple[int, int] | None, *, step: int) -> None:
    """Add one batch of rows or candidates to a table: those of a range of buckets, or all."""
    if kind == "candidates":
        candidates = _candidates(arrow, step=step)
        table.load_candidates(candidates if within is None else candidates.chosen(_within(candidates.ids, *within)))
        return
    rows = _table_rows(arrow)
    if within is not None:
        rows = rows.chosen(_within(rows.ids, *within))
    table.load(replace(rows, last_step=np.minimum(rows.last_step, step)))


def _candidates(arrow: pa.Table, *, step: int) -> Candidates:
    """Return the candidates of a file; those of an old one, which has no last steps, count as held at ``step``."""
    ids, impressions = arrow["id"].to_numpy(), arrow["impressions"].to_numpy()
    last_step = np.full(len(ids), step, dtype=np.int64)
    if "last_step" in arrow.column_names:
        last_step = np.minimum(arrow["last_step"].to_numpy(), step)
    return Candidates(ids=ids, impressions=impressions, last_step=last_step)


def _expected_ids(folder: Folder, files: Sequence[TableFile], buckets: tuple[int, int]) -> int:
    """Return how many ids files hold in a range of buckets: whatever a manifest says, no more than their bytes."""
    sizes, expected = folder.file_sizes(), 0
    for file in files:
        rows = max(0, min(file.rows, sizes.get(file.path, 0) // _LEAST_ROW_BYTES))
        expected += min(rows, rows * (buckets[1] - buckets[0]) // max(1, file.last_bucket - file.first_bucket))
    return expected


def _narrower(buckets: tuple[int, int], file: TableFile) -> tuple[int, int] | None:
    """Return the range of buckets where a file holds more than it; None if it does not."""
    return buckets if buckets[0] > file.first_bucket or buckets[1] < file.last_bucket else None


def _problem(arrow: pa.Table, file: TableFile) -> str:
    """Return what tells a table from one that ``save_table`` has written; empty if nothing does."""
    columns = _ROWS_COLUMNS if file.kind == "rows" else _CANDIDATES_COLUMNS
    names = arrow.column_names
    if [name for name in columns if name in names or name != _OPTIONAL[file.kind]] != names:
        return f"it has the columns {', '.join(names)}, expected {', '.join(columns)}"
    for name, column in zip(names, arrow.columns, strict=True):
        kind, expected = column.type, columns[name]
        fits = (
            kind == expected
            if expected is not None
            else pa.types.is_fixed_size_list(kind) and (kind.value_type == pa.float32())
        )
        if not fits:
            return f"column '{name}' is {kind}, expected {expected or 'fixed_size_list<float>'}"
        if column.null_count or any(chunk.flatten().null_count for chunk in column.chunks if expected is None):
            return f"column '{name}' has nulls"
    return "" if arrow.num_rows == file.rows else f"it has {arrow.num_rows} rows, the manifest says {file.rows}"


def _within(ids: I64, first_bucket: int, last_bucket: int) -> Bools:
    buckets = bucket_of(ids)
    return np.asarray((buckets >= first_bucket) & (buckets < last_bucket))


def _arrow_rows(rows: TableRows) -> pa.Table:
    columns = {"id": pa.array(rows.ids), "row": _vectors(rows.rows)}
    if rows.slots.shape[1]:
        columns["slots"] = _vectors(rows.slots)
    columns |= {"last_step": pa.array(rows.last_step), "count": pa.array(rows.count)}
    return pa.table(columns)


def _table_rows(arrow: pa.Table) -> TableRows:
    ids = arrow["id"].to_numpy()
    slots = _matrix(arrow["slots"], len(ids)) if "slots" in arrow.column_names else np.empty((len(ids), 0), np.float32)
    return TableRows(
        ids=ids,
        rows=_matrix(arrow["row"], len(ids)),
        slots=slots,
        last_step=arrow["last_step"].to_numpy(),
        count=arrow["count"].to_numpy(),
    )


def _vectors(matrix: F32) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])


def _matrix(column: pa.ChunkedArray, rows: int) -> F32:
    whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()  # which would copy
    values = whole.flatten().to_numpy()
    return np.asarray(values, dtype=np.float32).reshape(rows, column.type.list_size)
