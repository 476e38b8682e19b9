"""Count the rows of each calendar day of a flat log, before it is parsed: what is cut by days is chosen by them."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from esmm_dist.arrays import I64
from esmm_dist.errors import InputDataError
from esmm_dist.progress import Progress
from preprocess.read.chunks import BATCH_ROWS, read_chunk, split_lines
from preprocess.read.flat.columns import read_column
from preprocess.read.flat.event_labels import kept_rows, kept_tables
from preprocess.read.flat.local_time import read_times
from preprocess.read.flat.pieces import batches_of
from preprocess.read.flat.row_texts import value_shown
from preprocess.read.flat.tasks import FlatTask, flat_tasks, text_form
from preprocess.read.flat.text import read_header, read_rows
from preprocess.read.inputs import InputFile
from preprocess.read.parse_job import ParseJob
from preprocess.read.row_files import ChunkId
from preprocess.work.workers import Pool, Result


def rows_of_days(job: ParseJob, files: Sequence[InputFile], pool: Pool, progress: Progress) -> dict[int, int]:
    """Return the rows of each day that has any; rows without a time are of none.

    Args:
        job: how the log is parsed
        files: files to count
        pool: worker processes; keeps what was found for a run that continues
        progress: receives the bytes read

    Raises:
        InputDataError: There are rows, and not one has a time.
    """

    def find() -> Result:
        progress.start("read times", None, "B")
        task = FlatTask(name="days", of_text=days_of_text, of_row_group=days_of_row_group)
        results = [result for _, result in sorted(pool.run_all(flat_tasks(job, files, task), progress).items())]
        counts: Counter[str] = Counter()
        for result in results:
            counts.update(result["days"])
        return {"days": counts, "no_time": next((r["no_time"] for r in results if r["no_time"] is not None), None)}

    found = pool.once("all-days", find)
    if not found["days"] and found["no_time"] is not None:
        raise InputDataError(
            f"source.time reads column '{job.flat_source.time}', where no value is a time; the first is "
            f"{found['no_time']!r}. Seconds, milliseconds, micro- and nanoseconds since 1970, days such as 20240131, "
            "ISO 8601 texts such as 2024-01-31T09:30:00, and dates and timestamps of Parquet are."
        )
    return {int(day): count for day, count in found["days"].items()}


def counted_days(days: I64) -> dict[str, int]:
    """Return how often each day (int64 [N]) is there, by its number as a text: JSON has no other keys."""
    unique, counts = np.unique(days, return_counts=True)
    return {str(day): count for day, count in zip(unique.tolist(), counts.tolist(), strict=True)}


def days_of_text(job: ParseJob, file: InputFile, chunk: ChunkId, header: bytes, text: bytes | None) -> Result:
    """Count the days of one chunk of text."""
    if text is None:
        text = read_chunk(file.path, chunk.chunk, job.chunk_bytes)
    form = text_form(job, file)
    begin = form.header_lines if chunk.chunk == 0 else 0
    table, numbers, _ = read_rows(split_lines(text)[begin:], begin, read_header(header, form), form)
    return _count(job, [table.filter(pa.array(kept_rows(job, chunk, numbers)))])


def days_of_row_group(job: ParseJob, file: InputFile, first: ChunkId, group: int) -> Result:
    """Count the days of one row group of a Parquet file."""
    assert job.flat_source.time is not None  # the caller asked for its days
    return _count(job, kept_tables(job, first, batches_of(file, group, [job.flat_source.time], BATCH_ROWS)))


def _count(job: ParseJob, tables: Iterable[pa.Table]) -> Result:
    assert job.flat_source.time is not None  # the caller asked for its days
    counts: Counter[str] = Counter()
    no_time = None
    for table in tables:
        column = read_column(table, job.flat_source.time)
        times = read_times(column, job.flat_source)
        counts.update(counted_days(times.day[times.is_time]))
        if no_time is None and not times.is_time.all():
            no_time = value_shown(column, int(np.argmin(times.is_time)))
    return {"days": counts, "no_time": no_time}
