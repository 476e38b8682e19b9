"""The chunks of a flat log as tasks: of text so many bytes, of a Parquet file a row group."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow.parquet as pq

from esmm_dist.storage.arrow_path import arrow_path
from preprocess.read.chunks import BATCH_ROWS, chunk_size, num_chunks
from preprocess.read.flat import header as headers
from preprocess.read.flat.header import check_columns, check_types, checked_header, columns_read
from preprocess.read.flat.text import TextForm
from preprocess.read.input_texts import first_line, first_lines, reading, stream_texts
from preprocess.read.inputs import InputFile
from preprocess.read.parse_job import ParseJob
from preprocess.read.row_files import ChunkId
from preprocess.work.workers import PoolTask, Result


@dataclass(frozen=True, kw_only=True)
class FlatTask:
    """What is done with each chunk of a flat log."""

    name: str
    of_text: Callable[..., Result]
    """Called with ``job``, ``file``, ``chunk``, ``header`` and ``text``, as ``parse.parse_text`` is."""
    of_row_group: Callable[..., Result]
    """Called with ``job``, ``file``, ``first`` and ``group``, as ``parse.parse_row_group`` is."""
    columns: Mapping[str, str] | None = None
    """Columns that are read, and what for. None: all that the schema reads."""


def flat_tasks(
    job: ParseJob,
    files: Sequence[InputFile],
    what: FlatTask,
    first_sample_ids: Mapping[tuple[int, int], int] | None = None,
) -> Iterator[PoolTask]:
    """List the tasks of all files; those of compressed text carry their text.

    Args:
        job: what all chunks share
        files: files of the log
        what: what is done with each chunk
        first_sample_ids: sample id of the first row of each (file, chunk) of the train split, if ``what`` asks for it

    Raises:
        InputDataError: The header of a file cannot be read.
        SchemaError: A file lacks a column, has it twice, or in a type that cannot be read.
    """
    for task in _tasks(job, files, what):
        chunk = task.arguments.get("chunk") or task.arguments["first"]
        if first_sample_ids is not None and chunk.split == "train":
            of_chunk = replace(job, first_sample_id=first_sample_ids[chunk.file, chunk.chunk])
            task = replace(task, arguments={**task.arguments, "job": of_chunk})
        yield task


def _tasks(job: ParseJob, files: Sequence[InputFile], what: FlatTask) -> Iterator[PoolTask]:
    read = columns_read(job.schema) if what.columns is None else what.columns
    for file in files:
        if file.packing == "plain":
            header = first_lines(file.path) if text_form(job, file).json is not None else first_line(file.path)
            _check_header(job, file, header, read)
            for chunk in range(num_chunks(file.path.stat().st_size, job.chunk_bytes)):
                yield _text_task(job, what, file, chunk, header, None)
        elif file.packing == "parquet":
            yield from _parquet_tasks(job, what, file, read)
    header = b""
    for file, chunk, text in stream_texts([f for f in files if f.packing == "gz"], job.chunk_bytes):
        if chunk == 0:
            header = text.partition(b"\n")[0]
            _check_header(job, file, text if text_form(job, file).json is not None else header, read)
        yield _text_task(job, what, file, chunk, header, text)


def text_form(job: ParseJob, file: InputFile) -> TextForm:
    """Return how a text file writes its columns."""
    return headers.text_form(job.schema, file.path)


def _check_header(job: ParseJob, file: InputFile, header: bytes, read: Mapping[str, str]) -> None:
    checked_header(file.path, header, text_form(job, file), read)


def _chunk_id(file: InputFile, chunk: int) -> ChunkId:
    return ChunkId(split=file.split, file=file.index, chunk=chunk)


def _text_task(
    job: ParseJob, what: FlatTask, file: InputFile, chunk: int, header: bytes, text: bytes | None
) -> PoolTask:
    chunk_id = _chunk_id(file, chunk)
    return PoolTask(
        name=f"{what.name}-{chunk_id.name('log')}",
        function=what.of_text,
        arguments={"job": job, "file": file, "chunk": chunk_id, "header": header, "text": text},
        size=float(chunk_size(file.path, chunk, job.chunk_bytes) if text is None else len(text)),
    )


def _parquet_tasks(job: ParseJob, what: FlatTask, file: InputFile, read: Mapping[str, str]) -> Iterator[PoolTask]:
    """One task for each row group, which makes one chunk of every ``BATCH_ROWS`` rows: Parquet cannot seek to a row."""
    with reading(file.path):
        metadata = pq.read_metadata(arrow_path(file.path))
        types = pq.read_schema(arrow_path(file.path))
    check_columns(file.path, types.names, read)
    check_types(file.path, types, job.schema, read)
    chunk = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        first = _chunk_id(file, chunk)
        yield PoolTask(
            name=f"{what.name}-{first.name('log')}",
            function=what.of_row_group,
            arguments={"job": job, "file": file, "first": first, "group": group},
            size=file.path.stat().st_size * rows / max(1, metadata.num_rows),
        )
        chunk += -(-rows // BATCH_ROWS)
