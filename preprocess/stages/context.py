"""What all stages of one run share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esmm_dist.progress import Progress
from esmm_dist.schema.fields import Schema
from preprocess.config import Inspection, PreprocessConfig
from preprocess.join.known_ids import KnownIds
from preprocess.memory_plan import MemoryPlan
from preprocess.read.inputs import InputFile
from preprocess.read.raw_files import RawFile
from preprocess.work.folder import FINAL_FOLDER
from preprocess.work.workers import Pool, PoolTask, Result


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """The inputs of a run, and where and by whom its work is done. Used in one thread."""

    config: PreprocessConfig
    inspection: Inspection | None
    """How a log is read that is only looked at; None: a data set is made to train on."""
    settings: Mapping[str, Any]
    """The settings that decide the bytes; those that the log decides may be None."""
    schema: Schema
    files: tuple[InputFile, ...]
    event_files: tuple[InputFile, ...]
    """Files of the labels' events; none where the log is none of events."""
    raw: Mapping[str, RawFile]
    """The raw files as they stood when the run began."""
    cut_splits: tuple[str, ...]
    """Splits that are cut out of the train files by days."""
    known: KnownIds | None
    """Ids that are kept however rare they are in the log."""
    plan: MemoryPlan
    work: Path
    pool: Pool
    progress: Progress

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that the log has."""
        return tuple(dict.fromkeys(file.split for file in self.files))

    @property
    def final(self) -> Path:
        """Folder with the finished files of the data set."""
        return self.work / FINAL_FOLDER

    def reject_path(self, split: str) -> Path:
        """Return where the rejected lines of a split are listed."""
        return self.final / "rejects" / f"{split}.jsonl"

    def make_folders(self) -> None:
        """Make the folders that the stages write to, where they are not there."""
        for name in ("chunks", "counts", "records", "pieces"):
            (self.work / name).mkdir(exist_ok=True)
        for path in (self.final, self.final / "rejects", *(self.final / split for split in self.splits)):
            path.mkdir(exist_ok=True)

    def run_all(self, phase: str, tasks: Iterable[PoolTask], total: float, unit: str) -> dict[str, Result]:
        """Run the tasks of one phase; return their results by name.

        Args:
            phase: what the progress bar says
            tasks: tasks whose sizes add up to ``total``
            total: amount of work, in ``unit``
            unit: unit of the progress bar
        """
        self.progress.start(phase, total, unit)
        return self.pool.run_all(tasks, self.progress)

    def delete_read(self, paths: Iterable[Path]) -> None:
        """Delete files that only finished stages read."""
        self.pool.syncs.before_deleting()
        for path in paths:
            path.unlink(missing_ok=True)
