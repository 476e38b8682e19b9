"""Cut the rows of a chunk of a flat log into pieces that memory holds.

A chunk has a fixed number of bytes of text, or of rows of a Parquet file, but what parsing takes depends on the ids in
them: 65,536 rows of 150 ids each take 1.2 GB, of 10 ids 0.16. So rows are taken together as long as they hold no more
than ``most`` items: ids, and values of other columns. Pieces keep the chunk's line numbers, so that where they are cut
changes nothing in the data set.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.storage.arrow_path import arrow_path
from preprocess.read.chunks import BATCH_ROWS
from preprocess.read.flat.column_types import without_views
from preprocess.read.flat.compute import pc
from preprocess.read.input_texts import reading
from preprocess.read.inputs import InputFile

MOST_ITEMS = 4 << 20
"""Items that are parsed at once where memory is ample: more than a chunk of text holds."""

_TEXT_PER_ITEM = 16  # long texts take memory too: so many bytes count as an item
_BUFFER_BYTES = 1 << 20  # of a column that is read; without it Arrow holds the row group's whole column


def line_pieces(lines: Sequence[bytes], separators: Sequence[bytes], most: int) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of runs of CSV lines that hold at most ``most`` items each, or are one line.

    Args:
        lines: lines of a chunk
        separators: separators of values, and of the ids of a list; each precedes one more item
        most: items in a piece
    """
    begin = items = 0
    for number, line in enumerate(lines):
        here = max(1 + sum(line.count(each) for each in separators), len(line) // _TEXT_PER_ITEM)
        if items + here > most and number > begin:
            yield begin, number
            begin, items = number, 0
        items += here
    yield begin, len(lines)


@contextmanager
def opened_parquet(path: Path, stream: pa.NativeFile | None = None) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; what is wrong with it within the block is an ``InputDataError`` that names it.

    Args:
        path: its path, or the name of what the stream reads
        stream: reads it where it is on no disk; None: the file at ``path``
    """
    with (
        reading(path),
        pq.ParquetFile(stream if stream is not None else arrow_path(path), buffer_size=_BUFFER_BYTES) as opened,
    ):
        yield opened


def batches_of(file: InputFile, group: int, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a row group of a Parquet file, ``rows`` at a time, checked."""
    with opened_parquet(file.path) as opened:
        yield from _batches(opened, group, columns, rows)


def _batches(opened: pq.ParquetFile, group: int, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    for batch in opened.iter_batches(rows, row_groups=[group], columns=columns, use_threads=False):
        batch.validate(full=True)  # a text that is not UTF-8, a dictionary's index beyond its end: found here
        yield batch.cast(pa.schema([each.with_type(without_views(each.type)) for each in batch.schema]))


def row_pieces(
    file: InputFile, group: int, columns: list[str], list_separator: str, most: int
) -> Iterator[tuple[int, pa.Table]]:
    """Read a row group and yield (first row, rows) of pieces; see ``group_pieces``."""
    with opened_parquet(file.path) as opened:
        yield from group_pieces(opened, group, columns, list_separator, most)


def group_pieces(
    opened: pq.ParquetFile, group: int, columns: list[str], list_separator: str, most: int
) -> Iterator[tuple[int, pa.Table]]:
    """Read a row group and yield (first row, rows) of pieces with at most ``most`` items each, or one row.

    No piece lies in two chunks, of ``BATCH_ROWS`` rows each, a power of two.

    Args:
        opened: a Parquet file
        group: which of its row groups
        columns: columns to read
        list_separator: separator of the ids of a list that is a text
        most: items in a piece
    """
    at_once = _rows_at_once(opened.metadata.row_group(group), columns, most)
    waiting: list[pa.RecordBatch] = []
    first = end = items = 0
    for batch in _batches(opened, group, columns, at_once):
        for part, here in _halves(batch, list_separator, most):
            if waiting and (items + here > most or end % BATCH_ROWS == 0):
                yield first, pa.Table.from_batches(waiting)
                waiting, first, items = [], end, 0
            waiting.append(part)
            items += here
            end += part.num_rows
    if waiting:
        yield first, pa.Table.from_batches(waiting)


def _rows_at_once(group: pq.RowGroupMetaData, columns: list[str], most: int) -> int:
    """Return how many rows to decode at once: a power of two; what they really hold is seen afterwards."""
    stored = [group.column(i) for i in range(group.num_columns)]
    read = [column for column in stored if column.path_in_schema.split(".")[0] in columns]
    items = sum(max(column.num_values, column.total_uncompressed_size // _TEXT_PER_ITEM) for column in read)
    fitting = max(1, most * int(group.num_rows) // max(1, 4 * int(items)))
    return min(BATCH_ROWS, 1 << (fitting.bit_length() - 1))


def _halves(batch: pa.RecordBatch, separator: str, most: int) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Cut a batch in two until no part of more rows than one holds over ``most`` items; yield parts and their items."""
    items = _items(batch, separator)
    if items <= most or batch.num_rows <= 1:
        yield batch, items
        return
    half = batch.num_rows // 2
    yield from _halves(batch.slice(0, half), separator, most)
    yield from _halves(batch.slice(half), separator, most)


def _items(batch: pa.RecordBatch, separator: str) -> int:
    return sum(_column_items(column, separator) for column in batch.columns)


def _column_items(column: pa.Array, separator: str) -> int:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _column_items(column.dictionary_decode(), separator)
    if pa.types.is_map(kind):
        pairs = pa.struct([("key", kind.key_type), ("item", kind.item_type)])
        return _column_items(column.cast(pa.list_(pairs)), separator)
    if isinstance(column, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
        return max(len(column), _column_items(column.flatten(), separator))
    if pa.types.is_struct(kind):
        return sum(_column_items(part, separator) for part in column.flatten())
    items = len(column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        items += int(pc.sum(pc.count_substring(column, separator)).as_py() or 0)
    return max(items, int(column.nbytes) // _TEXT_PER_ITEM)
