"""Number the rows of a flat log that names none, before it is parsed: what a row's number decides is decided there."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

import pyarrow.parquet as pq

from esmm_dist.progress import Progress
from esmm_dist.storage.arrow_path import arrow_path
from preprocess.read.chunks import read_chunk, split_lines
from preprocess.read.flat.tasks import FlatTask, flat_tasks, text_form
from preprocess.read.inputs import InputFile
from preprocess.read.parse_job import ParseJob
from preprocess.read.row_files import ChunkId
from preprocess.work.workers import Pool, Result

FirstSampleIds = Mapping[tuple[int, int], int]
"""Sample id of the first row of each (file, chunk) of the train split; of Parquet, of each row group's first chunk."""


def find_first_sample_ids(
    job: ParseJob, files: Sequence[InputFile], pool: Pool, progress: Progress
) -> FirstSampleIds | None:
    """Return the sample ids that the chunks of the train split begin with: rows are numbered from 1, file after file.

    None: the log names its impressions, or nothing is decided by their names.
    """
    if job.flat_source.sample_id is not None or not job.chooses_by_sample_id:
        return None
    train = [file for file in files if file.split == "train"]

    def count() -> Result:
        progress.start("count rows", None, "B")
        task = FlatTask(name="rows", of_text=rows_of_text, of_row_group=rows_of_row_group)
        return {
            "rows": sorted(found["rows"] for found in pool.run_all(flat_tasks(job, train, task), progress).values())
        }

    rows = pool.once("all-rows", count)["rows"]
    before = accumulate((rows_here for _, _, rows_here in rows), initial=1)
    return {(file, chunk): first for (file, chunk, _), first in zip(rows, before, strict=False)}


def rows_of_text(job: ParseJob, file: InputFile, chunk: ChunkId, header: bytes, text: bytes | None) -> Result:
    """Count the rows of one chunk of text."""
    if text is None:
        text = read_chunk(file.path, chunk.chunk, job.chunk_bytes)
    lines = len(split_lines(text))
    header_lines = text_form(job, file).header_lines if chunk.chunk == 0 and lines else 0
    return {"rows": [chunk.file, chunk.chunk, lines - header_lines]}


def rows_of_row_group(job: ParseJob, file: InputFile, first: ChunkId, group: int) -> Result:
    """Count the rows of one row group of a Parquet file."""
    return {"rows": [first.file, first.chunk, pq.read_metadata(arrow_path(file.path)).row_group(group).num_rows]}
