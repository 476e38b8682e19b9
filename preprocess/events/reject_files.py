"""Write ``rejects/events.jsonl``: every event that counts for nothing, with its file, line, reason and text."""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from esmm_dist.arrays import I64
from preprocess.events.attribute import EventFate
from preprocess.events.join import fates_path
from preprocess.events.read import EventRows, Stream, rows_of_row_group, rows_of_text
from preprocess.read.flat.tasks import FlatTask
from preprocess.read.inputs import InputFile
from preprocess.read.parse_job import ParseJob
from preprocess.read.rejects import Reason, reject, reject_line, reject_place
from preprocess.read.row_files import ChunkId
from preprocess.work.folder import replaced, write_text
from preprocess.work.workers import Result

REASONS = {
    EventFate.WITHOUT_IMPRESSION: Reason.EVENT_WITHOUT_IMPRESSION,
    EventFate.WITHOUT_LABEL_BEFORE: Reason.EVENT_WITHOUT_LABEL_BEFORE,
    EventFate.BEFORE_IMPRESSION: Reason.EVENT_BEFORE_IMPRESSION,
    EventFate.BEYOND_WINDOW: Reason.EVENT_BEYOND_WINDOW,
    EventFate.REPEATED: Reason.REPEATED_EVENT,
}


@dataclass(frozen=True, kw_only=True)
class RejectedEvents:
    """Lists the rejected events of one file of a label's events, chunk by chunk."""

    stream: Stream
    label: int
    """Place of the label."""
    lines_before: Mapping[int, int]
    """For each chunk of the file that a task begins with, the lines of the file before it, the header's too."""

    def task(self) -> FlatTask:
        """Return what is done with each chunk."""
        return FlatTask(
            name=f"rejects-{self.stream.name}",
            of_text=self.of_text,
            of_row_group=self.of_row_group,
            columns=self.stream.columns,
        )

    def of_text(self, job: ParseJob, file: InputFile, chunk: ChunkId, header: bytes, text: bytes | None) -> Result:
        """List the rejected events of a chunk of text."""
        return self._write(job, file, chunk, [rows_of_text(job, self.stream, file, chunk, header, text)])

    def of_row_group(self, job: ParseJob, file: InputFile, first: ChunkId, group: int) -> Result:
        """List the rejected events of a row group of Parquet."""
        return self._write(job, file, first, rows_of_row_group(job, self.stream, file, first, group))

    def _write(self, job: ParseJob, file: InputFile, chunk: ChunkId, parts: Iterable[EventRows]) -> Result:
        first: dict[str, str] = {}
        entries = []
        for rows in parts:
            lost = (
                reject(int(rows.lines[row]), REASONS[EventFate(fate)], rows.text_of_row(row))
                for row, fate in self._lost(job, rows.positions)
            )
            for each in sorted((*rows.rejects, *rows.bad_rows(self.stream), *lost), key=lambda each: each.line):
                line = self.lines_before[chunk.chunk] + each.line + 1
                entries.append(reject_line(file.shown_name, line, each))
                first.setdefault(each.reason, reject_place(file.shown_name, line, each))
        name = f"rejects-{self.stream.name}-{chunk.name('log')}.jsonl"
        write_text(job.work / "events" / name, "".join(entries))
        return {"path": name, "file": chunk.file, "chunk": chunk.chunk, "first": first}

    def _lost(self, job: ParseJob, positions: I64) -> Iterator[tuple[int, int]]:
        """Yield the events that were not joined: place among the positions, and fate."""
        for partition in range(job.partitions):
            fates = np.load(fates_path(job.work, self.label, partition), mmap_mode="r")
            begin = np.searchsorted(fates[0], positions[0]) if len(positions) else 0
            end = np.searchsorted(fates[0], positions[-1], side="right") if len(positions) else 0
            here = np.array(fates[:, begin:end])
            yield from zip(np.searchsorted(positions, here[0]).tolist(), here[1].tolist(), strict=True)


def join_reject_files(path: Path, work: Path, names: Sequence[str]) -> None:
    """Write the rejects of all tasks to one file, in this order."""
    with replaced(path) as temporary, temporary.open("wb") as out:
        for name in names:
            with (work / "events" / name).open("rb") as part:
                shutil.copyfileobj(part, out)
