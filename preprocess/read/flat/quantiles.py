"""Find the edges of numeric fields whose buckets are quantiles of the train split.

The log is read once more, its numeric columns alone. The values of each chunk are sorted and kept on disk, 8 bytes
each, and exact quantiles are found among them with those of one chunk in memory. Rows that reading will reject for
another column count too, and so do negatives that are left out.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from esmm_dist.arrays import I64, Bools
from esmm_dist.progress import Progress
from esmm_dist.schema.fields import Field
from esmm_dist.schema.numeric import without_tiny
from preprocess.read.chunks import BATCH_ROWS, read_chunk, split_lines
from preprocess.read.flat.chosen_rows import read_names, validation_rows
from preprocess.read.flat.columns import RowReasons, read_column
from preprocess.read.flat.event_labels import kept_of_group, kept_rows
from preprocess.read.flat.field_reader import FieldReader
from preprocess.read.flat.first_sample_ids import find_first_sample_ids
from preprocess.read.flat.header import columns_read
from preprocess.read.flat.number_column import read_numbers
from preprocess.read.flat.ordered_keys import keys_of_ranks, number_of_key, ordered
from preprocess.read.flat.pieces import batches_of
from preprocess.read.flat.row_split import train_rows
from preprocess.read.flat.tasks import FlatTask, flat_tasks, text_form
from preprocess.read.flat.text import read_header, read_rows
from preprocess.read.inputs import InputFile
from preprocess.read.parse_job import ParseJob
from preprocess.read.row_files import ChunkId
from preprocess.work.blocks import save_array
from preprocess.work.workers import Pool, Result


def open_fields(job: ParseJob) -> list[Field]:
    """Return the fields whose edges are quantiles that are not known yet, in the schema's order."""
    return [each for each in job.schema.fields if each.numeric is not None and each.numeric.edges is None]


def find_edges(job: ParseJob, files: Sequence[InputFile], pool: Pool, progress: Progress) -> dict[str, list[float]]:
    """Return the edges of each field of ``open_fields``: the distinct values at its inner quantiles, ascending.

    With N values, the edges of ``quantile Q`` are the values of ranks ceil(k · N / Q), k = 1 .. Q - 1, counted from the
    smallest. Equal ones are one edge, so that there may be fewer; a field without a value has none.

    Args:
        job: how the log is parsed
        files: files that hold rows of the train split
        pool: worker processes; keeps what was found for a run that continues
        progress: receives the bytes read
    """
    first_sample_ids = find_first_sample_ids(job, files, pool, progress)

    def find() -> Result:
        progress.start("read numbers", None, "B")
        task = FlatTask(name="numbers", of_text=numbers_of_text, of_row_group=numbers_of_row_group)
        names = sorted(pool.run_all(flat_tasks(job, files, task, first_sample_ids), progress))
        found = {}
        for field in open_fields(job):
            paths = [_path(job.work, name, field) for name in names]
            found[field.name] = _edges(field, paths)
            for path in paths:
                path.unlink()
        return found

    return dict(pool.once("all-edges", find))


def _edges(field: Field, paths: Sequence[Path]) -> list[float]:
    assert field.numeric is not None  # the caller chose it
    parts = field.numeric.num_quantiles
    count = sum(len(np.load(path, mmap_mode="r")) for path in paths)
    if not count:
        return []
    keys = keys_of_ranks(paths, [-(-k * count // parts) for k in range(1, parts)])
    return [number_of_key(key) for key in sorted(set(keys))]


def numbers_of_text(job: ParseJob, file: InputFile, chunk: ChunkId, header: bytes, text: bytes | None) -> Result:
    """Write the sorted numbers of one chunk of text."""
    if text is None:
        text = read_chunk(file.path, chunk.chunk, job.chunk_bytes)
    form = text_form(job, file)
    lines = split_lines(text)[form.header_lines if chunk.chunk == 0 else 0 :]
    table, numbers, _ = read_rows(lines, 0, read_header(header, form), form)
    in_file = numbers + (form.header_lines if chunk.chunk == 0 else 0)
    return _write(job, chunk, [_kept(table, numbers, kept_rows(job, chunk, in_file))])


def numbers_of_row_group(job: ParseJob, file: InputFile, first: ChunkId, group: int) -> Result:
    """Write the sorted numbers of one row group of a Parquet file."""
    columns = list(columns_read(job.schema))
    tables = map(pa.table, batches_of(file, group, columns, BATCH_ROWS))
    placed = ((table, rows, kept_of_group(job, first, rows)) for table, rows in _placed(tables))
    return _write(job, first, (_kept(*each) for each in placed))


def _kept(table: pa.Table, places: I64, kept: Bools) -> tuple[pa.Table, I64]:
    """Return the rows where ``kept`` (bool [rows]) is true, all but those that the join of an event log leaves out."""
    return (table, places) if kept.all() else (table.filter(pa.array(kept)), places[kept])


def _placed(tables: Iterable[pa.Table]) -> Iterator[tuple[pa.Table, I64]]:
    """Yield tables that follow each other, each with the places of its rows."""
    before = 0
    for table in tables:
        yield table, before + np.arange(table.num_rows)
        before += table.num_rows


def _write(job: ParseJob, chunk: ChunkId, tables: Iterable[tuple[pa.Table, I64]]) -> Result:
    """Write the sorted numbers of tables, each with the places of its rows in the chunk, int64 [rows]."""
    fields = open_fields(job)
    found = {field.name: [np.zeros(0, np.uint64)] for field in fields}
    for table, places in tables:
        in_train = train_rows(table, job) & ~_validation(job, table, places)
        for field in fields:
            numbers = read_numbers(read_column(table, field.name), job.flat_source, RowReasons())[in_train]
            found[field.name].append(ordered(without_tiny(numbers[~np.isnan(numbers)])))
    for field in fields:
        save_array(_path(job.work, f"numbers-{chunk.name('log')}", field), np.sort(np.concatenate(found[field.name])))
    return {}


def _validation(job: ParseJob, table: pa.Table, places: I64) -> Bools:
    """Return which rows are in the validation split, or would be if they were in no other: bool [rows]."""
    schema, reasons = job.schema, RowReasons()
    if not job.choice.validation_share:
        return np.zeros(table.num_rows, np.bool_)
    sample_ids = places + job.first_sample_id
    if not schema.split_fields and job.flat_source.sample_id is not None:
        sample_ids, _ = read_names(table, schema, job.flat_source.sample_id, reasons)
    return validation_rows(job, FieldReader(table, schema, reasons).read(schema.split_fields), sample_ids)


def _path(work: Path, name: str, field: Field) -> Path:
    return work / "chunks" / f"{name}-{field.name.encode().hex()}.npy"
