"""Stage 1 for the Ali-CCP form: chunks of raw lines -> rows on disk, partitioned by user context."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import google_crc32c
import numpy as np

from esmm_dist.arrays import Bools
from esmm_dist.schema.fields import Field, Schema
from preprocess.read.aliccp.chunk import ParsedRows, parse_lines
from preprocess.read.aliccp.line import Kind, context_key
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
    """Parse one chunk and write its rows and rejects; of the train split, to the validation split too if need be.

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
    parsed = parse_lines(text, kind, fields, len(job.schema.labels))
    del text
    chunk_lines = parsed.num_lines
    if job.choice.context_share < 1:
        parsed = _sampled(job, chunk, kind, parsed)
    validation, left_out = _chosen(job, chunk, kind, parsed)
    num_left_out, num_validation = int(left_out.sum()), int(validation.sum())
    shared = {
        "kind": kind,
        "file": chunk.file,
        "chunk": chunk.chunk,
        "bytes": num_bytes,
        "crc32c": crc32c,
        "chunk_lines": chunk_lines,
    }
    own = {
        "lines": parsed.num_lines - num_validation,
        "left_out": num_left_out,
        "rejected": count_reasons(parsed.rejects),
        "ignored": dict(sorted(parsed.ignored.items())),
    }
    chunks = [shared | own | _write_part(job, chunk, kind, parsed, ~validation & ~left_out)]
    write_rejects(job.work, kind, chunk, parsed.rejects)
    if job.choice.validation_share and chunk.split == "train":
        written = _write_part(job, replace(chunk, split="validation"), kind, parsed, validation)
        chunks.append(shared | {"lines": num_validation, "rejected": {}, "ignored": {}} | written)
    return {"chunks": chunks}


def _sampled(job: ParseJob, chunk: ChunkId, kind: Kind, parsed: ParsedRows) -> ParsedRows:
    """Return the rows of the sampled user contexts; impressions without a user and rejected lines go by themselves."""
    keys = parsed.keys
    if kind == "skeleton":
        keys = np.where(keys == np.uint64(context_key(b"")), parsed.sample_ids.astype(np.uint64), keys)
    at = np.flatnonzero(job.choice.sampled(keys))
    places = np.array([chunk.base + reject.line for reject in parsed.rejects], np.uint64)
    kept = job.choice.sampled(places).tolist()
    return replace(
        parsed,
        lines=parsed.lines[at],
        keys=parsed.keys[at],
        sample_ids=parsed.sample_ids[at],
        labels=parsed.labels[at],
        features=parsed.features.take(at),
        rejects=[reject for reject, is_kept in zip(parsed.rejects, kept, strict=True) if is_kept],
    )


def _chosen(job: ParseJob, chunk: ChunkId, kind: Kind, parsed: ParsedRows) -> tuple[Bools, Bools]:
    """Return which rows are taken out of the train split: to the validation split, and left out; bool [R] each."""
    none = np.zeros(len(parsed.lines), np.bool_)
    if chunk.split != "train":
        return none, none
    validation, left_out = none, none
    if job.choice.validation_share:
        # Impressions without a user are one context, which may be much of the log: they stay in train
        validation = job.choice.validation(parsed.keys) & (parsed.keys != np.uint64(context_key(b"")))
    if kind == "skeleton":
        left_out = job.choice.left_out(parsed.sample_ids, parsed.labels) & ~validation
    return validation, left_out


def _write_part(job: ParseJob, chunk: ChunkId, kind: Kind, parsed: ParsedRows, mask: Bools) -> Result:
    """Write the rows where ``mask`` (bool [R]) is true to the split of ``chunk``."""
    targets = Targets(sample_ids=parsed.sample_ids, labels=parsed.labels) if kind == "skeleton" else None
    rows = RawRows(lines=parsed.lines, keys=parsed.keys, features=parsed.features, targets=targets)
    if not mask.all():
        index = np.flatnonzero(mask)
        rows = RawRows(
            lines=parsed.lines[index],
            keys=parsed.keys[index],
            features=parsed.features.take(index),
            targets=None if targets is None else targets.take(index),
        )
    sizes = write_rows(rows_path(job.work, kind, chunk), rows, len(fields_of(job.schema, kind)), job.partitions)
    return {"split": chunk.split, "rows": len(rows.lines), "partition_bytes": sizes.tolist()}


def fields_of(schema: Schema, kind: Kind) -> tuple[Field, ...]:
    """Return the fields that lines of a kind hold, in record order."""
    return schema.impression_fields if kind == "skeleton" else schema.user_fields
