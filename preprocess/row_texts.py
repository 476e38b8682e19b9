"""Quote rows of a Parquet file, which have no text of their own, as JSON."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.arrow_path import arrow_path
from preprocess.inputs import InputFile, reading

_ROWS_AT_ONCE = 1024


def row_text(rows: pa.Table | pa.RecordBatch, row: int) -> bytes:
    """Return a row as JSON."""
    return json.dumps(rows.slice(row, 1).to_pylist()[0], default=str, ensure_ascii=False).encode()


def chunk_row_texts(
    file: InputFile, columns: Sequence[str], rows_in_chunk: int, wanted: Mapping[int, Collection[int]]
) -> Iterator[tuple[int, int, bytes]]:
    """Read a file again for a few rows; yield (chunk, line within it, text) in the file's order.

    Args:
        file: A Parquet file; each of its row groups begins a chunk.
        columns: That the log's schema reads.
        rows_in_chunk: Rows of a chunk.
        wanted: Lines by chunk. Row groups without any are not read.
    """
    with reading(file.path), pq.ParquetFile(arrow_path(file.path)) as opened:
        first = 0
        for group in range(opened.num_row_groups):
            chunks = -(-opened.metadata.row_group(group).num_rows // rows_in_chunk)
            of_group = {
                (chunk - first) * rows_in_chunk + line: (chunk, line)
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
