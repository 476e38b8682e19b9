"""Stage 1 for a flat log: chunks of rows -> the same files as from the Ali-CCP form.

A user context is the content of all user fields of a row: rows of equal content share one common row. From there on a
flat log is joined, counted and grouped like the Ali-CCP form.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress

import google_crc32c
import numpy as np
import pyarrow as pa

from esmm_dist.arrays import I64, U64, Bools
from esmm_dist.hashing import mix64
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.sources import SPLITS, FlatSource
from preprocess.read.chunks import BATCH_ROWS, read_chunk, split_lines
from preprocess.read.feature_rows import FeatureRows
from preprocess.read.flat.chosen_rows import content_keys, of_split_fields, read_names, sampled_rows, validation_rows
from preprocess.read.flat.columns import (
    RowReasons,
    read_labels,
    read_sample_weights,
    with_kept_columns,
)
from preprocess.read.flat.day_scan import counted_days
from preprocess.read.flat.event_labels import REASONS, RowState, event_labels
from preprocess.read.flat.field_reader import FieldReader
from preprocess.read.flat.header import columns_read
from preprocess.read.flat.pieces import line_pieces, row_pieces
from preprocess.read.flat.row_days import row_days
from preprocess.read.flat.row_split import rows_by_day, test_rows
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
    first_sample_id: int = 0
    """Sample id of the chunk's first row, where rows are numbered and the choice of rows goes by their numbers."""
    rejects: tuple[Reject, ...] = ()
    text_of_row: Callable[[int], bytes]
    """Quotes a row."""

    @property
    def lines(self) -> int:
        """Lines of the piece without the header."""
        return int(self.table.num_rows) + len(self.rejects)

    def reject(self, row: int, reason: Reason, column: str) -> Reject:
        """Reject a row because of what a column holds; none where it is the row as a whole."""
        value = value_shown(self.table.column(column), row) if column else ""
        return reject(int(self.numbers[row]), reason, self.text_of_row(row), column, value)

    def part(self, split: str, mask: Bools, rejects: tuple[Reject, ...]) -> "FlatRows":
        """Return the rows where ``mask`` (bool [rows]) is true, which are of ``split``, with these rejects."""
        rows = np.flatnonzero(mask)
        return FlatRows(
            chunk=replace(self.chunk, split=split),
            table=self.table.filter(pa.array(mask)),
            numbers=self.numbers[rows],
            header_lines=self.header_lines,
            first_sample_id=self.first_sample_id,
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
    form = text_form(job, file)
    header_lines = form.header_lines if chunk.chunk == 0 and lines else 0
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
            first_sample_id=job.first_sample_id,
            table=table,
            numbers=numbers,
            header_lines=header_lines,
            rejects=tuple(rejects),
            text_of_row=partial(_line_text, lines, numbers, form),
        )
        chunks += [{**counts, **of_split} for of_split in write_rows_of_log(job, rows)]
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
            first_sample_id=job.first_sample_id + row // BATCH_ROWS * BATCH_ROWS,
            table=table,
            numbers=row % BATCH_ROWS + np.arange(table.num_rows),
            text_of_row=partial(row_text, table),
        )
        parsed = write_rows_of_log(job, rows)
        chunks += [{"bytes": table.nbytes, "header_lines": 0, **of_split} for of_split in parsed]
    return {"chunks": chunks}


PARSE = FlatTask(name="parse", of_text=parse_text, of_row_group=parse_row_group)


def write_rows_of_log(job: ParseJob, rows: FlatRows) -> list[Result]:
    """Write the rows that are read to their splits (``write_joined``)."""
    if job.choice.context_share >= 1:
        return write_joined(job, rows)
    reads, kept = sampled_rows(job, rows.table, rows.chunk.base + rows.numbers), rows.rejects
    if kept:
        places = np.array([rows.chunk.base + reject.line for reject in kept], np.uint64)
        kept = tuple(compress(kept, job.choice.sampled(places).tolist()))
    written = write_joined(job, rows.part(rows.chunk.split, reads, kept))
    return [{**each, "chunk_lines": rows.lines} for each in written]


def write_joined(job: ParseJob, rows: FlatRows) -> list[Result]:
    """Write rows to their splits; those of an event log with the labels of their events, if the join keeps them."""
    if not job.is_joined:
        return write_splits(job, rows)
    found = event_labels(job, rows.chunk, rows.numbers)
    labels = {label: pa.array(found.labels[:, place]) for place, label in enumerate(job.schema.labels)}
    kept = [name for name in rows.table.column_names if name not in labels]
    table = rows.table.select(kept)
    for label, column in labels.items():
        table = table.append_column(label, column)
    rejected = [row for row, state in enumerate(found.states.tolist()) if state in REASONS]
    rejects = (rows.reject(row, REASONS[RowState(found.states[row])], "") for row in rejected)
    joined = replace(rows, table=table).part(rows.chunk.split, found.states == RowState.KEPT, (*rows.rejects, *rejects))
    written = write_splits(job, joined)
    too_recent = int((found.states == RowState.TOO_RECENT).sum())
    written[0] = {**written[0], "lines": written[0]["lines"] + too_recent, "too_recent": too_recent}
    return [{**each, "chunk_lines": rows.lines} for each in written]


def write_splits(job: ParseJob, rows: FlatRows) -> list[Result]:
    """Write rows to the split of their file, or to all those that are cut out of it by days or by the schema.

    What is no row of a split is a reject of the file's own, or of other days than the data set's.
    """
    if job.cut is None:
        return [{**part, "chunk_lines": rows.lines} for part in _by_rule(job, rows)]
    source, own = job.flat_source, rows.chunk.split
    by_day = rows_by_day(rows.table, source, job.cut)
    place = by_day.place if own == "train" else np.where(job.cut.holds(by_day.day), SPLITS.index(own), -1)
    place = np.where(by_day.is_bad, -1, place)
    assert source.time is not None  # nothing is cut by days without
    rejects = _bad_times(rows, by_day.is_bad, source.time)
    written: list[Result] = []
    for split in dict.fromkeys((own, *(job.cut.splits if own == "train" else ()))):
        part = rows.part(split, place == SPLITS.index(split), rejects if split == own else ())
        of_part = [{**each, "days": {}} for each in _by_rule(job, part)]
        of_part[0]["days"] = counted_days(by_day.day[place == SPLITS.index(split)])
        written += of_part
    others = (place < 0) & ~by_day.is_bad
    written[0]["lines"] += int(others.sum())
    written[0]["other_days"] = counted_days(by_day.day[others])
    return [{**each, "chunk_lines": rows.lines} for each in written]


def _by_rule(job: ParseJob, rows: FlatRows) -> list[Result]:
    """Write rows to the split of their chunk, or to train and test where ``source.split`` cuts the latter out of it."""
    source = job.flat_source
    if source.split is None:
        return write_part(job, rows)
    is_test, bad = test_rows(rows.table, source, job.test_begin)
    rejects = _bad_times(rows, bad, source.split.column)
    own = rows.part(rows.chunk.split, ~is_test & ~bad, rejects)
    return [written for part in (own, rows.part("test", is_test, ())) for written in write_part(job, part)]


def _bad_times(rows: FlatRows, bad: Bools, column: str) -> tuple[Reject, ...]:
    """Return the rejects of the rows with those that have no time, bool [rows]."""
    return (*rows.rejects, *(rows.reject(row, Reason.BAD_TIME, column) for row in np.flatnonzero(bad).tolist()))


def write_part(job: ParseJob, rows: FlatRows) -> list[Result]:
    """Write the rows of one split and the rejects; those of the train split to the validation split too, if need be.

    What is no row of either split is a reject of the train split's.
    """
    schema, reasons = job.schema, RowReasons()
    targets = _read_targets(rows, schema, job.flat_source, reasons)
    reader = FieldReader(rows.table, schema, reasons)
    user, own = reader.read(schema.user_fields), reader.read(schema.impression_fields)
    good = np.ones(rows.table.num_rows, np.bool_)
    good[list(reasons.of_row)] = False
    keys = content_keys(user) if schema.user_fields else _scattered(rows.numbers)
    parsed = RawRows(lines=rows.numbers, keys=keys, features=own, targets=targets)
    validation, left_out = _chosen(job, rows, user, targets)
    validation &= good
    left_out &= good & ~validation
    rejected = (rows.reject(row, why, column) for row, (why, column) in reasons.of_row.items())
    rejects = sorted((*rows.rejects, *rejected), key=lambda r: r.line)
    write_rejects(job.work, "log", rows.chunk, rejects)
    num_left_out, num_validation = int(left_out.sum()), int(validation.sum())
    counts = {
        "lines": rows.lines - num_validation,
        "left_out": num_left_out,
        "left_out_days": {} if targets.days is None else counted_days(targets.days[left_out].astype(np.int64)),
        "rejected": count_reasons(rejects),
        "lost_digits": {column: count for column, count in sorted(reasons.lost_digits.items()) if count},
    }
    written = [counts | _write_rows(job, rows.chunk, user, parsed, good & ~validation & ~left_out)]
    if job.choice.validation_share and rows.chunk.split == "train":
        of_validation = _write_rows(job, replace(rows.chunk, split="validation"), user, parsed, validation)
        written.append({"lines": num_validation, "rejected": {}} | of_validation)
    return written


def _chosen(job: ParseJob, rows: FlatRows, user: FeatureRows, targets: Targets) -> tuple[Bools, Bools]:
    """Return which rows are taken out of the train split: to the validation split, and left out; bool [rows] each."""
    if rows.chunk.split != "train":
        none = np.zeros(rows.table.num_rows, np.bool_)
        return none, none
    sample_ids = targets.sample_ids
    if job.flat_source.sample_id is None:
        sample_ids = sample_ids + rows.first_sample_id
    validation = validation_rows(job, of_split_fields(user, job.schema), sample_ids)
    return validation, job.choice.left_out(sample_ids, targets.labels)


def _write_rows(job: ParseJob, chunk: ChunkId, user: FeatureRows, parsed: RawRows, mask: Bools) -> Result:
    """Write the rows where ``mask`` (bool [rows]) is true to the split of ``chunk``, each user context once."""
    assert parsed.targets is not None
    assert isinstance(parsed.features, FeatureRows)
    index = np.flatnonzero(mask)
    keys = parsed.keys[index]
    contexts, first = np.unique(keys, return_index=True)
    first = index[first]
    common = RawRows(lines=parsed.lines[first], keys=contexts, features=user.take(first))
    impressions = RawRows(
        lines=parsed.lines[index], keys=keys, features=parsed.features.take(index), targets=parsed.targets.take(index)
    )
    sizes = _write(job, chunk, "common", common, len(job.schema.user_fields))
    sizes = sizes + _write(job, chunk, "skeleton", impressions, len(job.schema.impression_fields))
    return {
        "split": chunk.split,
        "kind": "log",
        "file": chunk.file,
        "chunk": chunk.chunk,
        "piece": chunk.piece,
        "rows": len(index),
        "ignored": {},
        "partition_bytes": sizes.tolist(),
    }


def _read_targets(rows: FlatRows, schema: Schema, source: FlatSource, reasons: RowReasons) -> Targets:
    sample_ids, names = rows.numbers - rows.header_lines, None
    if source.sample_id is not None:
        sample_ids, names = read_names(rows.table, schema, source.sample_id, reasons)
    if source.keep:
        names = with_kept_columns(rows.table, source.keep, names)
    labels = read_labels(rows.table, source, schema.labels, reasons)
    weights = None
    if source.weight is not None:
        weights = read_sample_weights(rows.table, source.weight, source, reasons)
    days = row_days(rows.table, source)
    return Targets(sample_ids=sample_ids, labels=labels, names=names, weights=weights, days=days)


def _write(job: ParseJob, chunk: ChunkId, kind: RowKind, rows: RawRows, num_fields: int) -> I64:
    return write_rows(rows_path(job.work, kind, chunk), rows, num_fields, job.partitions)


def _scattered(numbers: I64) -> U64:
    return mix64(numbers) & np.uint64(_NO_USER_CONTEXTS - 1)
