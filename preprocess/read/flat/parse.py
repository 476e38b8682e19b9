"""Stage 1 for a flat log: chunks of rows -> the same files as from the Ali-CCP form.

A user context is the content of all user fields of a row: rows of equal content share one common row. From there on a
flat log is joined, counted and grouped like the Ali-CCP form.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import google_crc32c
import numpy as np
import pyarrow as pa

from esmm_dist.arrays import I64, U64, Bools
from esmm_dist.hashing import mix64
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.sources import FlatSource
from preprocess.read.chunks import BATCH_ROWS, read_chunk, split_lines
from preprocess.read.feature_rows import FeatureRows
from preprocess.read.flat.columns import (
    RowReasons,
    read_labels,
    read_sample_ids,
    read_sample_names,
    read_sample_weights,
    with_kept_columns,
)
from preprocess.read.flat.field_reader import FieldReader
from preprocess.read.flat.header import columns_read
from preprocess.read.flat.pieces import line_pieces, row_pieces
from preprocess.read.flat.row_split import test_rows
from preprocess.read.flat.row_texts import row_text, value_shown
from preprocess.read.flat.tasks import FlatTask, text_form
from preprocess.read.flat.text import TextForm, read_header, read_rows
from preprocess.read.inputs import InputFile
from preprocess.read.parse_job import ParseJob
from preprocess.read.rejects import Reason, Reject, count_reasons, reject, write_rejects
from preprocess.read.row_files import ChunkId, RawRows, RowKind, Targets, rows_path, write_rows
from preprocess.work.workers import Result

_NO_USER_CONTEXTS = 1 << 20  # a log without user fields is cut into so many contexts, as there is nothing to share


@dataclass(frozen=True, kw_only=True)
class FlatRows:
    """The rows of one piece of a chunk as they were read, and the lines that did not become rows."""

    chunk: ChunkId
    table: pa.Table
    """Columns by name."""
    numbers: I64
    """Line of each row within the chunk, int64 [rows]."""
    header_lines: int = 0
    """Lines of the chunk that are no rows, before all rows."""
    rejects: tuple[Reject, ...] = ()
    text_of_row: Callable[[int], bytes]
    """Quotes a row."""

    @property
    def lines(self) -> int:
        """Lines of the piece without the header."""
        return int(self.table.num_rows) + len(self.rejects)

    def reject(self, row: int, reason: Reason, column: str) -> Reject:
        """Reject a row because of what a column holds."""
        value = value_shown(self.table.column(column), row)
        return reject(int(self.numbers[row]), reason, self.text_of_row(row), column, value)

    def part(self, split: str, mask: Bools, rejects: tuple[Reject, ...]) -> "FlatRows":
        """Return the rows where ``mask`` (bool [rows]) is true, which are of ``split``, with these rejects."""
        rows = np.flatnonzero(mask)
        return FlatRows(
            chunk=replace(self.chunk, split=split),
            table=self.table.filter(pa.array(mask)),
            numbers=self.numbers[rows],
            header_lines=self.header_lines,
            rejects=rejects,
            text_of_row=lambda row: self.text_of_row(int(rows[row])),
        )


def parse_text(job: ParseJob, file: InputFile, chunk: ChunkId, header: bytes, text: bytes | None) -> Result:
    """Parse one chunk of CSV text; ``text`` is None to read it from the (plain) file."""
    if text is None:
        text = read_chunk(file.path, chunk.chunk, job.chunk_bytes)
    crc32c = google_crc32c.value(text)
    num_bytes = len(text)
    lines = split_lines(text)
    del text  # its lines are another copy
    header_lines = 1 if chunk.chunk == 0 and lines else 0
    form = text_form(job, file)
    names = read_header(header, form)
    separators = (form.delimiter.encode(), job.flat_source.list_separator.encode())
    # Counts of the whole chunk, which only its first piece has
    counts = {"bytes": num_bytes, "crc32c": crc32c, "header_lines": header_lines}
    chunks: list[Result] = []
    for number, (begin, end) in enumerate(line_pieces(lines[header_lines:], separators, job.piece_items)):
        first = header_lines + begin
        table, numbers, rejects = read_rows(lines[first : header_lines + end], first, names, form)
        rows = FlatRows(
            chunk=replace(chunk, piece=number),
            table=table,
            numbers=numbers,
            header_lines=header_lines,
            rejects=tuple(rejects),
            text_of_row=partial(_line_text, lines, numbers, form),
        )
        chunks += [{**counts, **of_split} for of_split in write_splits(job, rows)]
        counts = dict.fromkeys(counts, 0)
    return {"chunks": chunks}


def _line_text(lines: list[bytes], numbers: I64, form: TextForm, row: int) -> bytes:
    return form.as_utf8(lines[int(numbers[row])]) or b""


def parse_row_group(job: ParseJob, file: InputFile, first: ChunkId, group: int) -> Result:
    """Parse one row group of a Parquet file, piece by piece."""
    columns = list(columns_read(job.schema))
    chunks: list[Result] = []
    piece = 0
    for row, table in row_pieces(file, group, columns, job.flat_source.list_separator, job.piece_items):
        piece = piece + 1 if row % BATCH_ROWS else 0
        rows = FlatRows(
            chunk=replace(first, chunk=first.chunk + row // BATCH_ROWS, piece=piece),
            table=table,
            numbers=row % BATCH_ROWS + np.arange(table.num_rows),
            text_of_row=partial(row_text, table),
        )
        parsed = write_splits(job, rows)
        chunks += [{"bytes": table.nbytes, "header_lines": 0, **of_split} for of_split in parsed]
    return {"chunks": chunks}


PARSE = FlatTask(name="parse", of_text=parse_text, of_row_group=parse_row_group)


def write_splits(job: ParseJob, rows: FlatRows) -> list[Result]:
    """Write rows to the split of their file, or to both where the schema cuts the test split out of it.

    What is no row of either split is a reject of the file's own.
    """
    source = job.flat_source
    if source.split is None:
        return [{**write_part(job, rows), "lines": rows.lines, "chunk_lines": rows.lines}]
    is_test, bad = test_rows(rows.table, source, job.test_begin)
    bad_times = (rows.reject(row, Reason.BAD_TIME, source.split.column) for row in np.flatnonzero(bad).tolist())
    own = rows.part(rows.chunk.split, ~is_test & ~bad, (*rows.rejects, *bad_times))
    return [
        {**write_part(job, part), "lines": part.lines, "chunk_lines": rows.lines}
        for part in (own, rows.part("test", is_test, ()))
    ]


def write_part(job: ParseJob, rows: FlatRows) -> Result:
    """Write the rows of one split, each user context once, and the rejects."""
    schema, reasons = job.schema, RowReasons()
    targets = _read_targets(rows, schema, job.flat_source, reasons)
    reader = FieldReader(rows.table, schema, reasons)
    user, own = reader.read(schema.user_fields), reader.read(schema.impression_fields)
    good = np.ones(rows.table.num_rows, np.bool_)
    good[list(reasons.of_row)] = False
    index = np.flatnonzero(good)
    keys = (content_keys(user) if schema.user_fields else _scattered(rows.numbers))[index]
    contexts, first = np.unique(keys, return_index=True)
    first = index[first]
    common = RawRows(lines=rows.numbers[first], keys=contexts, features=user.take(first))
    impressions = RawRows(lines=rows.numbers[index], keys=keys, features=own.take(index), targets=targets.take(index))
    sizes = _write(job, rows.chunk, "common", common, len(schema.user_fields))
    sizes = sizes + _write(job, rows.chunk, "skeleton", impressions, len(schema.impression_fields))
    rejected = (rows.reject(row, why, column) for row, (why, column) in reasons.of_row.items())
    rejects = sorted((*rows.rejects, *rejected), key=lambda r: r.line)
    write_rejects(job.work, "log", rows.chunk, rejects)
    return {
        "split": rows.chunk.split,
        "kind": "log",
        "file": rows.chunk.file,
        "chunk": rows.chunk.chunk,
        "piece": rows.chunk.piece,
        "rows": len(index),
        "rejected": count_reasons(rejects),
        "ignored": {},
        "lost_digits": {column: count for column, count in sorted(reasons.lost_digits.items()) if count},
        "partition_bytes": sizes.tolist(),
    }


def _read_targets(rows: FlatRows, schema: Schema, source: FlatSource, reasons: RowReasons) -> Targets:
    sample_ids, names = rows.numbers - rows.header_lines, None
    if source.sample_id is not None and schema.has_text_sample_ids:
        sample_ids, names = read_sample_names(rows.table, source.sample_id, reasons)
    elif source.sample_id is not None:
        sample_ids = read_sample_ids(rows.table, source.sample_id, source, reasons)
    if source.keep:
        names = with_kept_columns(rows.table, source.keep, names)
    labels = read_labels(rows.table, source, schema.labels, reasons)
    weights = None
    if source.weight is not None:
        weights = read_sample_weights(rows.table, source.weight, source, reasons)
    return Targets(sample_ids=sample_ids, labels=labels, names=names, weights=weights)


def _write(job: ParseJob, chunk: ChunkId, kind: RowKind, rows: RawRows, num_fields: int) -> I64:
    return write_rows(rows_path(job.work, kind, chunk), rows, num_fields, job.partitions)


def content_keys(rows: FeatureRows) -> U64:
    """Hash the features of each row to its user context: rows of equal content have equal ones, uint64 [R]."""
    splits = rows.row_splits
    place = np.arange(len(rows.ids)) - np.repeat(splits[:-1], np.diff(splits))
    position = (rows.field_of_feature().astype(np.uint64) << np.uint64(32)) | place.astype(np.uint64)
    weights = rows.values.view(np.uint32).astype(np.uint64)
    hashes = mix64(mix64(mix64(rows.ids) ^ position) ^ weights)
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(hashes, dtype=np.uint64)))  # modulo 2^64
    return mix64(sums[splits[1:]] - sums[splits[:-1]])


def _scattered(numbers: I64) -> U64:
    return mix64(numbers) & np.uint64(_NO_USER_CONTEXTS - 1)
