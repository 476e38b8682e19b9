"""Stage 1 for a flat log: chunks of rows -> the same files as from the Ali-CCP form.

A user context is the content of all user fields of a row: rows of equal content share one common row. From there on a
flat log is joined, counted and grouped like the Ali-CCP form.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import google_crc32c
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.arrays import U64
from esmm_dist.hashing import mix64
from esmm_dist.schema.fields import Field
from esmm_dist.schema.sources import FlatSource
from esmm_dist.storage.arrow_path import arrow_path
from preprocess.read.chunks import BATCH_ROWS, chunk_size, num_chunks, read_chunk, split_lines
from preprocess.read.feature_rows import FeatureEntries, FeatureRows, arrange, index_dtype
from preprocess.read.flat_columns import (
    RowReasons,
    read_field,
    read_labels,
    read_sample_ids,
    read_sample_names,
    read_sample_weights,
    with_kept_columns,
)
from preprocess.read.flat_header import check_columns, check_types, checked_header, columns_read
from preprocess.read.flat_text import TextForm, read_header, read_rows
from preprocess.read.inputs import InputFile, first_line, reading, stream_texts
from preprocess.read.parse_stage import ParseJob, count_reasons, write_rejects
from preprocess.read.pieces import line_pieces, row_pieces
from preprocess.read.row_files import ChunkId, RawRows, RowKind, rows_path, write_rows
from preprocess.read.row_split import test_rows
from preprocess.read.row_texts import row_text, value_shown
from preprocess.read.texts import Texts
from preprocess.workers import Result, Task
from preprocess.write.rejects import Reason, Reject, reject

I64 = npt.NDArray[np.int64]

_NO_USER_CONTEXTS = 1 << 20  # a log without user fields is cut into so many contexts, as there is nothing to share


@dataclass(frozen=True, kw_only=True)
class FlatTask:
    """What is done with each chunk of a flat log."""

    name: str
    of_text: Callable[..., Result]
    """Called with ``job``, ``file``, ``chunk``, ``header`` and ``text``, as ``parse_text`` is."""
    of_row_group: Callable[..., Result]
    """Called with ``job``, ``file``, ``first`` and ``group``, as ``parse_row_group`` is."""


def flat_tasks(job: ParseJob, files: list[InputFile], what: FlatTask) -> Iterator[Task]:
    """List the tasks of all files; those of compressed text carry their text."""
    read = columns_read(job.schema)
    for file in files:
        if file.packing == "plain":
            header = first_line(file.path)
            _check_header(job, file, header, read)
            for chunk in range(num_chunks(file.path.stat().st_size, job.chunk_bytes)):
                yield _task(job, what, file, chunk, header, None)
        elif file.packing == "parquet":
            yield from _parquet_tasks(job, what, file)
    header = b""
    for file, chunk, text in stream_texts([f for f in files if f.packing == "gz"], job.chunk_bytes):
        if chunk == 0:
            header = text.partition(b"\n")[0]
            _check_header(job, file, header, read)
        yield _task(job, what, file, chunk, header, text)


def _check_header(job: ParseJob, file: InputFile, header: bytes, read: dict[str, str]) -> None:
    checked_header(file.path, header, text_form(job, file), read)


def text_form(job: ParseJob, file: InputFile) -> TextForm:
    """Return how a text file writes its columns."""
    source = job.schema.source
    assert isinstance(source, FlatSource)
    return TextForm.of(source, file.path)


def _task(job: ParseJob, what: FlatTask, file: InputFile, chunk: int, header: bytes, text: bytes | None) -> Task:
    chunk_id = ChunkId(split=file.split, file=file.index, chunk=chunk)
    return Task(
        name=f"{what.name}-{chunk_id.name('log')}",
        function=what.of_text,
        arguments={"job": job, "file": file, "chunk": chunk_id, "header": header, "text": text},
        size=float(chunk_size(file.path, chunk, job.chunk_bytes) if text is None else len(text)),
    )


def _parquet_tasks(job: ParseJob, what: FlatTask, file: InputFile) -> Iterator[Task]:
    """One task for each row group, which makes one chunk of every ``BATCH_ROWS`` rows: Parquet cannot seek to a row."""
    with reading(file.path):
        metadata = pq.read_metadata(arrow_path(file.path))
        types = pq.read_schema(arrow_path(file.path))
    check_columns(file.path, types.names, columns_read(job.schema))
    check_types(file.path, types, job.schema)
    chunk = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        first = ChunkId(split=file.split, file=file.index, chunk=chunk)
        yield Task(
            name=f"{what.name}-{first.name('log')}",
            function=what.of_row_group,
            arguments={"job": job, "file": file, "first": first, "group": group},
            size=file.path.stat().st_size * rows / max(1, metadata.num_rows),
        )
        chunk += -(-rows // BATCH_ROWS)


def parse_text(job: ParseJob, file: InputFile, chunk: ChunkId, header: bytes, text: bytes | None) -> Result:
    """Parse one chunk of CSV text; ``text`` is None to read it from the (plain) file."""
    if text is None:
        text = read_chunk(file.path, chunk.chunk, job.chunk_bytes)
    crc32c = google_crc32c.value(text)
    num_bytes = len(text)
    lines = split_lines(text)
    del text  # its lines are another copy
    header_lines = 1 if chunk.chunk == 0 and lines else 0
    source = job.schema.source
    assert isinstance(source, FlatSource)
    form = text_form(job, file)
    names = read_header(header, form)
    separators = (form.delimiter.encode(), source.list_separator.encode())
    counts = {"bytes": num_bytes, "crc32c": crc32c, "header_lines": header_lines}  # of the chunk, told with one piece
    chunks: list[Result] = []
    for number, (begin, end) in enumerate(line_pieces(lines[header_lines:], separators, job.piece_items)):
        first = header_lines + begin
        table, numbers, rejects = read_rows(lines[first : header_lines + end], first, names, form)
        text_of_row = partial(_line_text, lines, numbers, form)
        piece = replace(chunk, piece=number)
        parsed = write_splits(job, piece, table, numbers, header_lines, rejects, text_of_row)
        chunks += [{**counts, **of_split} for of_split in parsed]
        counts = dict.fromkeys(counts, 0)
    return {"chunks": chunks}


def _line_text(lines: list[bytes], numbers: I64, form: TextForm, row: int) -> bytes:
    return form.as_utf8(lines[int(numbers[row])]) or b""


def parse_row_group(job: ParseJob, file: InputFile, first: ChunkId, group: int) -> Result:
    """Parse one row group of a Parquet file, piece by piece."""
    source = job.schema.source
    assert isinstance(source, FlatSource)
    columns = list(columns_read(job.schema))
    chunks: list[Result] = []
    piece = 0
    for row, table in row_pieces(file, group, columns, source.list_separator, BATCH_ROWS, job.piece_items):
        piece = piece + 1 if row % BATCH_ROWS else 0
        chunk = replace(first, chunk=first.chunk + row // BATCH_ROWS, piece=piece)
        numbers = row % BATCH_ROWS + np.arange(table.num_rows)
        parsed = write_splits(job, chunk, table, numbers, 0, [], partial(row_text, table))
        chunks += [{"bytes": table.nbytes, "header_lines": 0, **of_split} for of_split in parsed]
    return {"chunks": chunks}


PARSE = FlatTask(name="parse", of_text=parse_text, of_row_group=parse_row_group)


def write_splits(
    job: ParseJob,
    chunk: ChunkId,
    table: pa.Table,
    numbers: I64,
    header_lines: int,
    rejects: list[Reject],
    text_of_row: Callable[[int], bytes],
) -> list[Result]:
    """Write the rows of one chunk to the split of its file, or to both where the schema cuts the test split out of it.

    Arguments as of ``write_table``; what is no row of either split is a reject of the file's own.
    """
    source = job.schema.source
    assert isinstance(source, FlatSource)
    lines = table.num_rows + len(rejects)
    if source.split is None:
        parsed = write_table(job, chunk, table, numbers, header_lines, rejects, text_of_row)
        return [{**parsed, "lines": lines, "chunk_lines": lines}]
    is_test, bad = test_rows(table, source, job.test_begin)
    column = source.split.column
    rejects = rejects + [
        reject(int(numbers[row]), Reason.BAD_TIME, text_of_row(row), column, value_shown(table.column(column), row))
        for row in np.flatnonzero(bad).tolist()
    ]
    results = []
    for split, mask, of_split in ((chunk.split, ~is_test & ~bad, rejects), ("test", is_test, [])):
        rows = np.flatnonzero(mask)
        text = partial(_text_of, text_of_row, rows)
        part = table.filter(pa.array(mask))
        parsed = write_table(job, replace(chunk, split=split), part, numbers[rows], header_lines, of_split, text)
        results.append({**parsed, "lines": len(rows) + len(of_split), "chunk_lines": lines})
    return results


def _text_of(text_of_row: Callable[[int], bytes], rows: I64, row: int) -> bytes:
    return text_of_row(int(rows[row]))


def write_table(
    job: ParseJob,
    chunk: ChunkId,
    table: pa.Table,
    numbers: I64,
    header_lines: int,
    rejects: list[Reject],
    text_of_row: Callable[[int], bytes],
) -> Result:
    """Write the rows of one chunk, each user context once, and the rejects.

    Args:
        job: Shared by all chunks.
        chunk: Which chunk.
        table: Its rows, columns by name.
        numbers: Line of each row within the chunk, int64 [rows].
        header_lines: Lines of the chunk that are no rows, before all rows.
        rejects: Lines that did not become rows.
        text_of_row: Quotes a row that is rejected here.
    """
    source, schema = job.schema.source, job.schema
    assert isinstance(source, FlatSource)
    reasons = RowReasons()
    sample_ids, names = numbers - header_lines, None
    if source.sample_id is not None:
        if schema.has_text_sample_ids:
            sample_ids, names = read_sample_names(table, source.sample_id, reasons)
        else:
            sample_ids = read_sample_ids(table, source.sample_id, source, reasons)
    if source.keep:
        names = with_kept_columns(table, source.keep, names)
    labels = read_labels(table, source, schema.labels, reasons)
    weights = None
    if source.weight is not None:
        weights = read_sample_weights(table, source.weight, source, reasons)
    user = _read_fields(table, schema.user_fields, source, reasons)
    own = _read_fields(table, schema.impression_fields, source, reasons)
    good = np.ones(table.num_rows, np.bool_)
    good[list(reasons.of_row)] = False
    user_rows = arrange(user, np.arange(table.num_rows), len(schema.user_fields))
    keys = content_keys(user_rows) if schema.user_fields else _scattered(numbers)
    index = np.flatnonzero(good)
    contexts, first = np.unique(keys[index], return_index=True)
    sizes = _write(job, chunk, "common", contexts, numbers[index[first]], user_rows.take(index[first]))
    own_rows = arrange(own, np.arange(table.num_rows), len(schema.impression_fields)).take(index)
    sizes = sizes + _write(
        job,
        chunk,
        "skeleton",
        keys[index],
        numbers[index],
        own_rows,
        sample_ids[index],
        labels[index],
        None if names is None else names.take(index),
        None if weights is None else weights[index],
    )
    rejects = rejects + [
        reject(int(numbers[row]), why, text_of_row(row), column, value_shown(table.column(column), row))
        for row, (why, column) in reasons.of_row.items()
    ]
    rejects.sort(key=lambda r: r.line)
    write_rejects(job.work, "log", chunk, rejects)
    return {
        "split": chunk.split,
        "kind": "log",
        "file": chunk.file,
        "chunk": chunk.chunk,
        "piece": chunk.piece,
        "rows": len(index),
        "rejected": count_reasons(rejects),
        "ignored": {},
        "lost_digits": {column: count for column, count in sorted(reasons.lost_digits.items()) if count},
        "partition_bytes": sizes.tolist(),
    }


def content_keys(rows: FeatureRows) -> U64:
    """Hash the features of each row to its user context: rows of equal content have equal ones, uint64 [R]."""
    splits = rows.row_splits()
    place = np.arange(len(rows.ids)) - np.repeat(splits[:-1], np.diff(splits))
    position = (rows.field_of_feature().astype(np.uint64) << np.uint64(32)) | place.astype(np.uint64)
    weights = rows.values.view(np.uint32).astype(np.uint64)
    hashes = mix64(mix64(mix64(rows.ids.astype(np.uint64)) ^ position) ^ weights)
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(hashes, dtype=np.uint64)))  # modulo 2^64
    return mix64(sums[splits[1:]] - sums[splits[:-1]])


def _scattered(numbers: I64) -> U64:
    return mix64(numbers.astype(np.uint64)) & np.uint64(_NO_USER_CONTEXTS - 1)


def _read_fields(table: pa.Table, fields: tuple[Field, ...], source: FlatSource, reasons: RowReasons) -> FeatureEntries:
    parts = [read_field(table, field, index, source, reasons) for index, field in enumerate(fields)]
    return FeatureEntries(
        row=np.concatenate([np.zeros(0, np.int64), *(part.row for part in parts)]),
        field=np.concatenate([np.zeros(0, index_dtype(len(fields))), *(part.field for part in parts)]),
        ids=np.concatenate([np.zeros(0, np.int64), *(part.ids for part in parts)]),
        values=np.concatenate([np.zeros(0, np.float32), *(part.values for part in parts)]),
    )


def _write(
    job: ParseJob,
    chunk: ChunkId,
    kind: RowKind,
    keys: U64,
    lines: I64,
    rows: FeatureRows,
    sample_ids: I64 | None = None,
    labels: npt.NDArray[np.uint8] | None = None,
    names: Texts | None = None,
    weights: npt.NDArray[np.float32] | None = None,
) -> I64:
    features = FeatureEntries(
        row=rows.row_of_feature(), field=rows.field_of_feature(), ids=rows.ids, values=rows.values
    )
    raw = RawRows(
        lines=lines,
        keys=keys,
        sample_ids=np.zeros(len(lines), np.int64) if sample_ids is None else sample_ids,
        labels=np.zeros((len(lines), 0), np.uint8) if labels is None else labels,
        features=features,
        names=names,
        weights=weights,
    )
    return write_rows(rows_path(job.work, kind, chunk), raw, kind, rows.lengths.shape[1], job.partitions)
