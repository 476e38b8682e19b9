"""Find the time from which on the impressions of a flat log are the test split (``source.split`` by time).

The times of each chunk are written sorted, 8 bytes an impression. The one of the wanted rank is then found 16 bits at a
time, so that memory holds the times of one chunk whatever the log's size, and the result is exact.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from esmm_dist.errors import InputDataError, SchemaError
from esmm_dist.progress import Progress
from esmm_dist.schema.sources import ColumnSplit
from preprocess.read.chunks import BATCH_ROWS, read_chunk, split_lines
from preprocess.read.flat.columns import read_column
from preprocess.read.flat.event_labels import kept_rows, kept_tables
from preprocess.read.flat.ordered_keys import keys_of_ranks
from preprocess.read.flat.pieces import batches_of
from preprocess.read.flat.row_split import TimeKind, rows_by_day, shown_key, time_keys
from preprocess.read.flat.row_texts import value_shown
from preprocess.read.flat.tasks import FlatTask, flat_tasks, text_form
from preprocess.read.flat.text import read_header, read_rows
from preprocess.read.inputs import InputFile
from preprocess.read.parse_job import ParseJob
from preprocess.read.row_files import ChunkId
from preprocess.work.blocks import save_array
from preprocess.work.workers import Pool, Result


def find_test_begin(job: ParseJob, files: Sequence[InputFile], pool: Pool, progress: Progress) -> int:
    """Return the key of the first time of the test split (``row_split.time_keys``).

    Raises:
        SchemaError: The times are of two kinds.
        InputDataError: There are no two times.
    """

    def find() -> Result:
        progress.start("read times", None, "B")
        task = FlatTask(name="times", of_text=times_of_text, of_row_group=times_of_row_group)
        found = _choose(job, pool.run_all(flat_tasks(job, files, task), progress))
        if found["message"] is not None:
            progress.message(found["message"])
        return found

    return int(pool.once("all-times", find)["begin"])


def _choose(job: ParseJob, results: dict[str, Result]) -> Result:
    rule = _rule(job)
    kinds: set[TimeKind] = {kind for result in results.values() for kind in result["kinds"]}
    column = f"source.split reads column '{rule.column}'"
    if len(kinds) > 1:
        raise SchemaError(
            f"{column}, where some times are numbers and others are dates, which have no common order. Write all in "
            "one form."
        )
    paths = [_times_path(job.work, name) for name in sorted(results)]
    count = sum(result["times"] for result in results.values())
    wanted = max(1, round(rule.test_share * count))
    if not any(result["rows"] for result in results.values()):
        return {"begin": 0, "message": None}  # nothing to cut: reading tells which files are empty, or all rejected
    if not count:
        first = next(result["no_time"] for _, result in sorted(results.items()) if result["no_time"] is not None)
        raise InputDataError(
            f"{column}, where no value is a time; the first is {first!r}. Numbers, ISO 8601 texts such as "
            "2024-01-31T09:30:00, and dates and timestamps of Parquet are."
        )
    key = keys_of_ranks(paths, [count - wanted + 1])[0]
    later, from_key = _count_from(paths, key + 1), _count_from(paths, key)
    # Rows of one time stay together: of the two cuts beside the wanted one, take the nearer that leaves some to train.
    begin, tested = (key, from_key)
    if later and (from_key == count or wanted - later < from_key - wanted):
        begin, tested = _next_key(paths, key), later
    if tested == count:
        raise InputDataError(f"{column}, where all times are equal: no later ones are left to test on.")
    (kind,) = kinds
    message = (
        f"The test split begins at {rule.column} = {shown_key(begin, kind)}: {tested:,} of {count:,} impressions "
        f"({tested / count:.1%}) are at that time or later."
    )
    return {"begin": begin, "message": message}


def _count_from(paths: Sequence[Path], key: int) -> int:
    return sum(len(keys) - int(np.searchsorted(keys, np.uint64(key))) for keys in map(np.load, paths))


def _next_key(paths: Sequence[Path], key: int) -> int:
    """Return the smallest key above ``key``."""
    arrays = (keys[np.searchsorted(keys, np.uint64(key), side="right") :] for keys in map(np.load, paths))
    return min(int(keys[0]) for keys in arrays if len(keys))


def times_of_text(job: ParseJob, file: InputFile, chunk: ChunkId, header: bytes, text: bytes | None) -> Result:
    """Write the sorted times of one chunk of text."""
    if text is None:
        text = read_chunk(file.path, chunk.chunk, job.chunk_bytes)
    form = text_form(job, file)
    begin = form.header_lines if chunk.chunk == 0 else 0
    table, numbers, _ = read_rows(split_lines(text)[begin:], begin, read_header(header, form), form)
    return _write(job, chunk, [table.filter(pa.array(kept_rows(job, chunk, numbers)))])


def times_of_row_group(job: ParseJob, file: InputFile, first: ChunkId, group: int) -> Result:
    """Write the sorted times of one row group of a Parquet file."""
    columns = [_rule(job).column]
    if job.cut is not None and job.flat_source.time is not None:
        columns = list(dict.fromkeys([*columns, job.flat_source.time]))
    return _write(job, first, kept_tables(job, first, batches_of(file, group, columns, BATCH_ROWS)))


def _write(job: ParseJob, chunk: ChunkId, tables: Iterable[pa.Table]) -> Result:
    rule = _rule(job)
    found, kinds = [np.zeros(0, np.uint64)], set[TimeKind]()
    rows, no_time = 0, None
    for table in tables:
        column = read_column(table, rule.column)
        keys, is_time, of_table = time_keys(column, job.flat_source)
        if job.cut is not None:  # the share is one of the days that make the data set
            is_time &= rows_by_day(table, job.flat_source, job.cut).place >= 0
        found.append(keys[is_time])
        kinds |= of_table
        rows += table.num_rows
        if no_time is None and not is_time.all():
            no_time = value_shown(column, int(np.argmin(is_time)))
    times = np.sort(np.concatenate(found))
    save_array(_times_path(job.work, f"times-{chunk.name('log')}"), times)
    return {"rows": rows, "times": len(times), "kinds": sorted(kinds), "no_time": no_time}


def _rule(job: ParseJob) -> ColumnSplit:
    rule = job.flat_source.split
    assert rule is not None  # only where the schema splits by time
    return rule


def _times_path(work: Path, name: str) -> Path:
    return work / "chunks" / f"{name}.npy"
