"""Stage 1 for the Ali-CCP form: chunks of raw lines -> rows on disk, partitioned by user context."""

from collections.abc import Iterator, Sequence

import google_crc32c

from esmm_dist.schema.fields import Field, Schema
from preprocess.read.aliccp.chunk import parse_lines
from preprocess.read.aliccp.line import Kind
from preprocess.read.chunks import chunk_size, num_chunks, read_chunk
from preprocess.read.input_texts import stream_texts
from preprocess.read.inputs import InputFile
from preprocess.read.parse_job import ParseJob
from preprocess.read.rejects import count_reasons, write_rejects
from preprocess.read.row_files import ChunkId, RawRows, Targets, rows_path, write_rows
from preprocess.work.workers import PoolTask, Result


def parse_tasks(job: ParseJob, files: Sequence[InputFile]) -> Iterator[PoolTask]:
    """List the tasks of the files of both kinds and all splits; those of compressed files carry their text."""
    for file in files:
        if file.packing == "plain":
            for chunk in range(num_chunks(file.path.stat().st_size, job.chunk_bytes)):
                yield _task(job, file, chunk, None)
    for file, chunk, text in stream_texts([f for f in files if f.packing in ("gz", "tar.gz")], job.chunk_bytes):
        yield _task(job, file, chunk, text)


def _task(job: ParseJob, file: InputFile, chunk: int, text: bytes | None) -> PoolTask:
    chunk_id = ChunkId(split=file.split, file=file.index, chunk=chunk)
    return PoolTask(
        name=f"parse-{chunk_id.name(file.kind)}",
        function=parse_chunk,
        arguments={"job": job, "file": file, "chunk": chunk_id, "text": text},
        size=float(chunk_size(file.path, chunk, job.chunk_bytes) if text is None else len(text)),
    )


def parse_chunk(job: ParseJob, file: InputFile, chunk: ChunkId, text: bytes | None) -> Result:
    """Parse one chunk and write its rows and rejects.

    Args:
        job: what all chunks share
        file: file that the chunk comes from
        chunk: which chunk of it
        text: lines of the chunk; None: they are read from the (plain) file
    """
    if text is None:
        text = read_chunk(file.path, chunk.chunk, job.chunk_bytes)
    num_bytes, crc32c = len(text), google_crc32c.value(text)
    kind: Kind = "skeleton" if file.kind == "skeleton" else "common"
    fields = fields_of(job.schema, kind)
    parsed = parse_lines(text, kind, fields)
    del text
    targets = Targets(sample_ids=parsed.sample_ids, labels=parsed.labels) if kind == "skeleton" else None
    rows = RawRows(lines=parsed.lines, keys=parsed.keys, features=parsed.features, targets=targets)
    sizes = write_rows(rows_path(job.work, kind, chunk), rows, len(fields), job.partitions)
    write_rejects(job.work, kind, chunk, parsed.rejects)
    counts = {
        "split": chunk.split,
        "kind": kind,
        "file": chunk.file,
        "chunk": chunk.chunk,
        "bytes": num_bytes,
        "crc32c": crc32c,
        "lines": parsed.num_lines,
        "rows": len(rows.lines),
        "rejected": count_reasons(parsed.rejects),
        "ignored": dict(sorted(parsed.ignored.items())),
        "partition_bytes": sizes.tolist(),
    }
    return {"chunks": [counts]}


def fields_of(schema: Schema, kind: Kind) -> tuple[Field, ...]:
    """Return the fields that lines of a kind hold, in record order."""
    return schema.impression_fields if kind == "skeleton" else schema.user_fields
