"""Read the key and the time of each row of an event log, and cut them into partitions by a hash of the key.

The rows of a task (a chunk of text, a row group of Parquet) are a file in ``.work/events``::

    key         uint64 [2]   hash of the values of ``source.join``
    time        int64        microseconds since 1970 in UTC
    position    int64        place in its stream (``ChunkId.base`` and the line)
    name        uint64       impressions that are named and joined by time only: hash of the sample id
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from esmm_dist.arrays import I64, U8, U64
from esmm_dist.errors import SchemaError
from esmm_dist.schema.event_source import EventsSource
from preprocess.events.keys import hashes, row_keys
from preprocess.events.moments import moments
from preprocess.read.chunks import BATCH_ROWS, read_chunk, split_lines
from preprocess.read.file_forms import is_json_lines
from preprocess.read.flat.column_types import is_value
from preprocess.read.flat.columns import read_column
from preprocess.read.flat.event_labels import RowState, unjoined_path
from preprocess.read.flat.pieces import batches_of
from preprocess.read.flat.row_texts import row_text, value_shown
from preprocess.read.flat.tasks import FlatTask
from preprocess.read.flat.text import JsonForm, TextForm, read_header, read_rows
from preprocess.read.flat.value_texts import written_texts
from preprocess.read.inputs import InputFile
from preprocess.read.parse_job import ParseJob
from preprocess.read.rejects import Reason, Reject, count_reasons, reject
from preprocess.read.row_files import ChunkId, chunk_of_position
from preprocess.work.blocks import Column, save_array, write_blocks
from preprocess.work.workers import Result


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One kind of files of an event log, and what is read of them."""

    name: str
    """``impressions``, or ``events`` and the place of the label."""
    time: str
    """Column of the time."""
    join: tuple[str, ...]
    """Columns of the key."""
    sample_id: str | None = None
    """Column of the name of an impression, where it tells repeats."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Columns that are read, and what for."""

    @property
    def is_impressions(self) -> bool:
        """Whether its rows are impressions, which the flat stages read too."""
        return self.name == "impressions"


def impression_stream(source: EventsSource) -> Stream:
    """Return what is read of the impressions before they are joined."""
    time, sample_id = source.impressions.time, None if source.is_by_id else source.sample_id
    columns = {time: "source.impressions.time", **dict.fromkeys(source.join, "source.join")}
    if sample_id is not None:
        columns.setdefault(sample_id, "source.sample_id")
    return Stream(name="impressions", time=time, join=source.join, sample_id=sample_id, columns=columns)


def label_stream(source: EventsSource, label: str, place: int) -> Stream:
    """Return what is read of the events of a label."""
    time = source.labels[label].time
    columns = {time: f"source.labels.{label}.time", **dict.fromkeys(source.join, "source.join")}
    return Stream(name=f"events{place}", time=time, join=source.join, columns=columns)


def read_task(stream: Stream) -> FlatTask:
    """Return what is done with each chunk of a stream."""
    return FlatTask(
        name=stream.name,
        of_text=partial(_read_text, stream),
        of_row_group=partial(_read_row_group, stream),
        columns=stream.columns,
    )


def keys_path(work: Path, task: str) -> Path:
    """Return where a task puts the rows that it has read."""
    return work / "events" / f"{task}.keys"


@dataclass(frozen=True, kw_only=True)
class EventRows:
    """Rows of one stream that have a key and a time, and those that have not."""

    table: pa.Table
    """All rows that could be read, columns by name."""
    lines: I64
    """Line of each within the text that was read, or row of those that were: int64 [R]"""
    positions: I64
    """Place of each in its stream: int64 [R]"""
    keys: U64
    """uint64 [R, 2]"""
    times: I64
    """int64 [R]"""
    states: U8
    """``RowState``: whether it has both; uint8 [R]"""
    rejects: Sequence[Reject]
    """Lines that could not be read."""
    num_lines: int
    """Lines without the header's."""
    header_lines: int = 0
    text_of_row: Callable[[int], bytes]
    """Quotes a row."""

    def bad_rows(self, stream: Stream) -> Iterator[Reject]:
        """Yield the rows without a key or a time, as they are rejected."""
        for row in np.flatnonzero(self.states != RowState.KEPT).tolist():
            no_time = self.states[row] == RowState.BAD_TIME
            column = stream.time if no_time else next(c for c in stream.join if not self._value(row, c))
            why = Reason.BAD_TIME if no_time else Reason.NO_JOIN_KEY
            yield reject(int(self.lines[row]), why, self.text_of_row(row), column, self._value(row, column))

    def _value(self, row: int, column: str) -> str:
        return value_shown(self.table.column(column), row)


def rows_of_text(
    job: ParseJob, stream: Stream, file: InputFile, chunk: ChunkId, header: bytes, text: bytes | None
) -> EventRows:
    """Read a chunk of text; None: it is read from the (plain) file."""
    if text is None:
        text = read_chunk(file.path, chunk.chunk, job.chunk_bytes)
    json = JsonForm(values=tuple(stream.columns), lists={}) if is_json_lines(file.path) else None
    form = TextForm.of(job.flat_source, file.path, json)
    lines = split_lines(text)
    header_lines = form.header_lines if chunk.chunk == 0 and lines else 0
    table, numbers, rejects = read_rows(lines[header_lines:], header_lines, read_header(header, form), form)
    keys, times, states = _keys_and_times(job, stream, table)
    return EventRows(
        table=table,
        lines=numbers,
        positions=chunk.base + numbers,
        keys=keys,
        times=times,
        states=states,
        rejects=rejects,
        num_lines=len(lines) - header_lines,
        header_lines=header_lines,
        text_of_row=lambda row: form.as_utf8(lines[int(numbers[row])]) or b"",
    )


def rows_of_row_group(
    job: ParseJob, stream: Stream, file: InputFile, first: ChunkId, group: int
) -> Iterator[EventRows]:
    """Read a row group of Parquet, some rows at a time."""
    before = 0
    for batch in batches_of(file, group, list(stream.columns), BATCH_ROWS):
        table = pa.table(batch)
        for column, what in stream.columns.items():
            kind = table.schema.field(column).type
            if not is_value(kind):
                raise SchemaError(
                    f"{what} reads column '{column}' of {file.path}, which is {kind}. It may be one value a row: a "
                    "text, a number, a bool, a date or a time. Write the column as one of these."
                )
        rows = before + np.arange(table.num_rows)
        keys, times, states = _keys_and_times(job, stream, table)
        yield EventRows(
            table=table,
            lines=rows,
            positions=first.base + (rows // BATCH_ROWS << 24) + rows % BATCH_ROWS,
            keys=keys,
            times=times,
            states=states,
            rejects=(),
            num_lines=table.num_rows,
            text_of_row=partial(row_text, table),
        )
        before += table.num_rows


def _keys_and_times(job: ParseJob, stream: Stream, table: pa.Table) -> tuple[U64, I64, U8]:
    source = job.schema.events_source
    assert source is not None  # only event logs have streams
    keys, has_key = row_keys(table, stream.join, source.flat)
    times, is_time = moments(read_column(table, stream.time), source.flat, source.time_zone)
    states = np.full(len(times), RowState.KEPT, np.uint8)
    states[~has_key] = RowState.NO_KEY
    states[~is_time] = RowState.BAD_TIME
    return keys, times, states


def _read_text(
    stream: Stream, job: ParseJob, file: InputFile, chunk: ChunkId, header: bytes, text: bytes | None
) -> Result:
    return _write(job, stream, chunk, [rows_of_text(job, stream, file, chunk, header, text)])


def _read_row_group(stream: Stream, job: ParseJob, file: InputFile, first: ChunkId, group: int) -> Result:
    return _write(job, stream, first, rows_of_row_group(job, stream, file, first, group))


def _write(job: ParseJob, stream: Stream, chunk: ChunkId, parts: Iterable[EventRows]) -> Result:
    """Write the rows of a task by partition; return counts."""
    keys, times, positions, names = [np.zeros((0, 2), np.uint64)], [_NONE], [_NONE], [np.zeros(0, np.uint64)]
    bad = [np.zeros((2, 0), np.int64)]
    rejects: list[Reject] = []
    num_lines = header_lines = 0
    for rows in parts:
        good = rows.states == RowState.KEPT
        keys.append(rows.keys[good])
        times.append(rows.times[good])
        positions.append(rows.positions[good])
        if stream.sample_id is not None:
            names.append(hashes(written_texts(read_column(rows.table, stream.sample_id))[0])[good, 0])
        bad.append(np.stack((rows.positions[~good], rows.states[~good].astype(np.int64))))
        rejects += [*rows.rejects, *rows.bad_rows(stream)]
        num_lines += rows.num_lines
        header_lines += rows.header_lines
    key, time = np.concatenate(keys), np.concatenate(times)
    partition = (key[:, 0] % np.uint64(job.partitions)).astype(np.int64)
    order = np.argsort(partition, kind="stable")
    splits = np.searchsorted(partition[order], np.arange(job.partitions + 1))
    columns = {"time": time, "position": np.concatenate(positions), "key": key}
    if stream.sample_id is not None:
        columns["name"] = np.concatenate(names)
    task = f"{stream.name}-{chunk.name('log')}"
    path = keys_path(job.work, task)
    write_blocks(path, {name: Column(data=data[order], splits=splits) for name, data in columns.items()})
    if stream.is_impressions:
        _write_unjoined(job.work, chunk.split, np.concatenate(bad, axis=1))
    return {
        "path": path.name,
        "split": chunk.split,
        "file": chunk.file,
        "chunk": chunk.chunk,
        "lines": num_lines,
        "header_lines": header_lines,
        "rejected": count_reasons(rejects),
        "last_us": int(time.max()) if len(time) else None,
    }


_NONE = np.zeros(0, np.int64)


def _write_unjoined(work: Path, split: str, bad: I64) -> None:
    """Write which impressions have no key or no time: for each chunk, positions and states."""
    for base in np.unique(bad[0] >> 24).tolist():
        chunk, _ = chunk_of_position(split, base << 24)
        save_array(unjoined_path(work, chunk), bad[:, bad[0] >> 24 == base])
