"""Quote rows of a Parquet file, which have no text of their own, as JSON."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.storage.arrow_path import arrow_path
from preprocess.read.chunks import BATCH_ROWS
from preprocess.read.input_texts import reading
from preprocess.read.inputs import InputFile

_ROWS_AT_ONCE = 1024


def row_text(rows: pa.Table | pa.RecordBatch, row: int) -> bytes:
    """Return a row as JSON."""
    values = {name: _python_value(rows.column(i), row) for i, name in enumerate(rows.schema.names)}
    return json.dumps(values, default=str, ensure_ascii=False).encode()


def value_shown(column: pa.Array | pa.ChunkedArray, row: int) -> str:
    """Return a value as a message shows it; empty for a null."""
    value = _python_value(column, row)
    return "" if value is None else str(value)


def _python_value(column: pa.Array | pa.ChunkedArray, row: int) -> Any:
    try:
        return column[row].as_py()
    except (OverflowError, ValueError):  # a date that Arrow can hold and Python cannot: year 11476, a damaged one
        return column.slice(row, 1).to_string(skip_new_lines=True)


def chunk_row_texts(
    file: InputFile, columns: Sequence[str], wanted: Mapping[int, Collection[int]]
) -> Iterator[tuple[int, int, bytes]]:
    """Read a file again for a few rows; yield (chunk, line within it, text) in the file's order.

    Args:
        file: a Parquet file, each of whose row groups begins a chunk
        columns: columns that the log's schema reads
        wanted: lines by chunk; row groups without any are not read
    """
    with reading(file.path), pq.ParquetFile(arrow_path(file.path)) as opened:
        first = 0
        for group in range(opened.num_row_groups):
            chunks = -(-opened.metadata.row_group(group).num_rows // BATCH_ROWS)
            of_group = {
                (chunk - first) * BATCH_ROWS + line: (chunk, line)
                for chunk in range(first, first + chunks)
                for line in wanted.get(chunk, ())
            }
            begin = 0
            batches = opened.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=list(columns), use_threads=False)
            for batch in batches if of_group else ():
                for row in sorted(of_group.keys() & set(range(begin, begin + batch.num_rows))):
                    yield (*of_group[row], row_text(batch, row - begin))
                begin += batch.num_rows
            first += chunks
