"""The statistics of a raw log, before it is preprocessed.

The log is prepared as ``esmm preprocess`` does it (all cores, bounded memory), in a temporary folder that is removed
afterwards, with every id of every split; that is then read as a data set is. Of a sample, only the lines of the chosen
users go further than parsing.
"""

import multiprocessing
from dataclasses import replace
from pathlib import Path

from esmm_dist.errors import InputDataError, StorageError
from esmm_dist.progress import Progress
from esmm_dist.report.data_statistics.config import StatsConfig
from esmm_dist.report.data_statistics.data_set import data_set_statistics
from esmm_dist.report.data_statistics.raw_source import RawSource, raw_source
from esmm_dist.report.data_statistics.scratch_folder import scratch_folder
from esmm_dist.report.data_statistics.statistics import DataStatistics
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.words import short_bytes
from preprocess.config import Inspection, PreprocessConfig
from preprocess.read.inputs import find_inputs, text_bytes
from preprocess.run import preprocess

_GROUP_SIZE = 64
"""Impressions a record: the more, the fewer bytes are written and read again."""
_LANES = 8
_DISK_PER_TEXT = {"aliccp": 1.5, "flat": 10.0, "events": 10.0}
"""Bytes on disk at their most for a byte of text, by form: a short value is an id of 8 bytes and a weight of 4.
Measured: 1.3 on ``esmm demo``'s log, and 10 on 400,000 rows of 5 short values, each a context of its own."""


def raw_log_statistics(config: StatsConfig, progress: Progress) -> DataStatistics:
    """Prepare a raw log in a temporary folder and read it.

    Args:
        config: the log, its schema, the share of the user contexts to read
        progress: receives the progress

    Raises:
        InputDataError: The log is missing or damaged, or a sample of it has no impression.
        SchemaError: The schema does not fit the log, or none is given and none can be guessed.
        StorageError: The folder for temporary files is full.
    """
    source = raw_source(config.data, config.schema)
    for line in source.told:
        progress.message(line)
    with scratch_folder() as work:
        try:
            manifest = _prepared(source, config.sample, work, progress)
        except StorageError as e:
            raise StorageError(f"{e} {_disk_needed(source, config.sample, work)}") from e
        if not any(split.impressions for split in manifest.splits.values()):
            raise InputDataError(
                f"sample is {config.sample:g}, and none of {config.data} was chosen: it has few users. Give a larger "
                "share, or leave out sample."
            )
        found = data_set_statistics(work / "data", manifest, replace(config, sample=1.0), progress)
    return replace(found, source=str(config.data), source_kind="raw log", sample_share=config.sample)


def _prepared(source: RawSource, share: float, work: Path, progress: Progress) -> DatasetManifest:
    """Make a data set of all lines that can be read."""
    schema = work / "schema.yaml"
    try:
        schema.write_text(source.schema.to_yaml(), encoding="utf-8")
    except OSError as e:
        raise StorageError(f"{schema} cannot be written ({e.strerror}).") from e
    settings = PreprocessConfig(
        raw=source.folder,
        out=work / "data",
        schema=str(schema),
        min_count=1,
        group_size=_GROUP_SIZE,
        lanes=_LANES,
        compression="NONE",
        max_reject_share=1.0,  # what cannot be read is part of what is looked at
        workers=1 if multiprocessing.current_process().daemon else None,  # a daemon may start no processes
    )
    return preprocess(settings, _WithoutMessages(progress), Inspection(context_share=share))


def _disk_needed(source: RawSource, share: float, work: Path) -> str:
    text = sum(text_bytes(find_inputs(source.folder, source.schema, needs_all=False)).values())
    needed = short_bytes(int(_DISK_PER_TEXT[source.schema.source.form] * text * share))
    return (
        f"The log is prepared in {work.parent.parent}, which takes up to {needed} until it is read: set TMPDIR to a "
        "folder with more room, or read a share of the users (--sample 0.1)."
    )


class _WithoutMessages:
    """Passes on the progress of preprocess, and not what it says of the data set that nobody keeps."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        self._progress.start(f"Preparing the log: {task}", total, unit, done)

    def advance(self, amount: float, note: str = "") -> None:
        self._progress.advance(amount, note)

    def message(self, text: str) -> None:
        del text

    def finish(self) -> None:
        self._progress.finish()
