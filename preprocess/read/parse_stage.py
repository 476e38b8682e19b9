"""Stage 1: chunks of raw lines -> rows on disk, partitioned by user context."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from esmm_dist.schema.fields import Field, Schema
from preprocess.plan import MOST_ITEMS
from preprocess.read.chunks import chunk_size, num_chunks, read_chunk, split_lines
from preprocess.read.inputs import InputFile, stream_texts
from preprocess.read.raw_chunk import parse_lines
from preprocess.read.raw_line import Kind
from preprocess.read.row_files import ChunkId, RawRows, rows_path, write_rows
from preprocess.workers import Result, Task
from preprocess.workspace import write_text
from preprocess.write.rejects import Reject, chunk_rejects_text


@dataclass(frozen=True, kw_only=True)
class ParseJob:
    """What all chunks of a run share."""

    work: Path
    schema: Schema
    partitions: int
    chunk_bytes: int
    test_begin: int | None = None
    """Key of the first time of the test split, where the schema cuts it by time out of the train files."""
    piece_items: int = MOST_ITEMS
    """Ids and other values of a flat log that are parsed at once."""


def parse_tasks(job: ParseJob, files: list[InputFile]) -> Iterator[Task]:
    """List the tasks of all files of the Ali-CCP form; those of compressed files carry their text.

    Args:
        job: Shared by all chunks.
        files: Of both kinds and all splits.
    """
    for file in files:
        if file.packing == "plain":
            for chunk in range(num_chunks(file.path.stat().st_size, job.chunk_bytes)):
                yield _task(job, file, chunk, None)
    for file, chunk, text in stream_texts([f for f in files if f.packing in ("gz", "tar.gz")], job.chunk_bytes):
        yield _task(job, file, chunk, text)


def _task(job: ParseJob, file: InputFile, chunk: int, text: bytes | None) -> Task:
    chunk_id = ChunkId(split=file.split, file=file.index, chunk=chunk)
    return Task(
        name=f"parse-{chunk_id.name(file.kind)}",
        function=parse_chunk,
        arguments={"job": job, "file": file, "chunk": chunk_id, "text": text},
        size=float(chunk_size(file.path, chunk, job.chunk_bytes) if text is None else len(text)),
    )


def parse_chunk(job: ParseJob, file: InputFile, chunk: ChunkId, text: bytes | None) -> Result:
    """Parse one chunk and write its rows and rejects.

    Args:
        job: Shared by all chunks.
        file: Where the chunk comes from.
        chunk: Which it is.
        text: Its lines; None to read them from the (plain) file.
    """
    if text is None:
        text = read_chunk(file.path, chunk.chunk, job.chunk_bytes)
    lines = split_lines(text)
    num_bytes, crc32c = len(text), google_crc32c.value(text)
    del text
    kind: Kind = "skeleton" if file.kind == "skeleton" else "common"
    fields = fields_of(job.schema, kind)
    parsed = parse_lines(lines, kind, fields)
    num_lines = len(lines)
    del lines  # two copies of the text are enough
    rows = RawRows(
        lines=parsed.lines,
        keys=parsed.keys,
        sample_ids=parsed.sample_ids,
        labels=parsed.labels,
        features=parsed.features,
    )
    sizes = write_rows(rows_path(job.work, kind, chunk), rows, kind, len(fields), job.partitions)
    write_rejects(job.work, kind, chunk, parsed.rejects)
    counts = {
        "split": chunk.split,
        "kind": kind,
        "file": chunk.file,
        "chunk": chunk.chunk,
        "bytes": num_bytes,
        "crc32c": crc32c,
        "lines": num_lines,
        "rows": len(rows.lines),
        "rejected": count_reasons(parsed.rejects),
        "ignored": dict(sorted(parsed.ignored.items())),
        "partition_bytes": sizes.tolist(),
    }
    return {"chunks": [counts]}


def fields_of(schema: Schema, kind: Kind) -> tuple[Field, ...]:
    """Return the fields that lines of a kind hold, in record order."""
    return schema.impression_fields if kind == "skeleton" else schema.user_fields


def rejects_path(work: Path, kind: str, chunk: ChunkId) -> Path:
    """Return where a chunk's rejects stand; there is no file if it has none."""
    return work / "chunks" / f"{chunk.name(kind)}.rejects"


def write_rejects(work: Path, kind: str, chunk: ChunkId, rejects: list[Reject]) -> None:
    """Write the rejects of a chunk, if it has any."""
    if rejects:
        write_text(rejects_path(work, kind, chunk), chunk_rejects_text(rejects))


def count_reasons(rejects: list[Reject]) -> dict[str, int]:
    """Count rejects by reason, reasons sorted."""
    reasons = sorted({str(r.reason) for r in rejects})
    return {reason: sum(r.reason == reason for r in rejects) for reason in reasons}
