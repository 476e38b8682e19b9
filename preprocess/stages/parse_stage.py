"""Stage 1: read the raw log into rows by user context, and count its lines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np

from esmm_dist.arrays import I64
from preprocess.read.aliccp.parse import parse_tasks
from preprocess.read.day_cut import DayCut, choose_cut, cut_line, cut_of_days, no_impressions
from preprocess.read.empty_files import empty_file_notes
from preprocess.read.flat.day_scan import rows_of_days
from preprocess.read.flat.first_sample_ids import find_first_sample_ids
from preprocess.read.flat.parse import PARSE
from preprocess.read.flat.tasks import flat_tasks
from preprocess.read.flat.time_split import find_test_begin
from preprocess.read.inputs import InputFile
from preprocess.read.parse_job import ParseJob
from preprocess.read.raw_files import CHECKED_COLUMNS, check_unchanged, checksum_tasks, checksums_of_chunks
from preprocess.read.rejects import Reason
from preprocess.read.row_choice import RowChoice
from preprocess.read.tally import Tables, TableTally, check_both_splits, check_negatives, check_validation
from preprocess.stages.context import RunContext
from preprocess.stages.reject_stage import list_rejects
from preprocess.work.workers import PoolTask, Result


@dataclass(frozen=True, kw_only=True)
class ParsedLog:
    """What parsing counted; the rows are in ``.work/chunks``."""

    tables: Tables
    partition_bytes: Mapping[str, Sequence[int]]
    """Bytes of the rows of each split's partitions."""
    checksums: Mapping[str, int]
    """CRC-32C of each raw file, by its name."""
    empty_files: Sequence[str]
    """A sentence for each file without a line."""


def parse_log(run: RunContext) -> ParsedLog:
    """Parse what is not parsed yet.

    Raises:
        InputDataError: A file is damaged, changes meanwhile or lacks lines, or half of what was read is rejected.
        SchemaError: The log does not fit the schema.
    """
    kept = run.pool.once("all-parse", lambda: _parse_all(run))
    tables = {
        split: {kind: TableTally.from_mapping(mapping) for kind, mapping in of_split.items()}
        for split, of_split in kept["tables"].items()
    }
    empty_files = empty_file_notes(run.files, tables)
    if run.config.day_choice.is_made:
        _check_days(run, {split: _impressions(of_split) for split, of_split in tables.items()})
    source, share = run.schema.flat_source, run.config.validation_share
    if source is not None and source.split is not None:
        check_both_splits(source.split, {split: tables[split]["log"] for split in ("train", "test")})
    if "train" in tables:
        check_negatives(run.config.keep_negatives, _impressions(tables["train"]))
    if share and "validation" in tables:
        check_validation(share, {split: _impressions(tables[split]) for split in ("train", "validation")})
    return ParsedLog(
        tables=tables,
        partition_bytes=kept["partition_bytes"],
        checksums=kept["checksums"],
        empty_files=empty_files,
    )


def with_filled_splits(run: RunContext, parsed: ParsedLog) -> RunContext:
    """Return the run without the splits whose files have no impression of the days that were asked for."""
    empty = [split for split, of_split in parsed.tables.items() if _has_other_days_alone(_impressions(of_split))]
    for split in empty:
        run.progress.message(
            f"No impression of the {split} split is of {run.config.days}, so the data set will have no such split."
        )
    return replace(run, files=tuple(file for file in run.files if file.split not in empty)) if empty else run


def _has_other_days_alone(tally: TableTally) -> bool:
    return not tally.days and bool(tally.other_days)


def _check_days(run: RunContext, tables: Mapping[str, TableTally]) -> None:
    """Raise if the log has no impressions of the days that were asked for; with known ids, those of test suffice."""
    empty = {split for split, tally in tables.items() if _has_other_days_alone(tally)}
    if empty == set(tables) or ("train" in empty and run.known is None):
        days = {int(day) for tally in tables.values() for day in tally.other_days}
        raise no_impressions(run.config.day_choice, sorted(days))


def _impressions(of_split: Mapping[str, TableTally]) -> TableTally:
    """Return the counts of the lines that are impressions."""
    return of_split.get("skeleton") or of_split["log"]


def _parse_all(run: RunContext) -> Result:
    files = files_to_read(run)
    counts = _Counts(run)
    # What was begun is ended, so that the rejects of an early stop have no gap and know their lines.
    tasks = takewhile(lambda _: counts.hopeless is None, _tasks(run, files))
    for _, result in run.pool.run(tasks, run.progress):
        for chunk in result["chunks"]:
            counts.add(chunk)
    if counts.hopeless is not None:
        _stop_early(run, counts.tables, *counts.hopeless)
    packed = run.pool.run_all(checksum_tasks(files, run.event_files), run.progress).values()
    check_unchanged(run.raw, (*run.files, *run.event_files))
    return {
        "checksums": {
            **checksums_of_chunks(files, counts.checked),
            **{file["name"]: file["crc32c"] for file in packed},
        },
        "tables": {s: {k: t.to_mapping() for k, t in of_split.items()} for s, of_split in counts.tables.items()},
        "partition_bytes": {split: size.tolist() for split, size in counts.partition_bytes.items()},
    }


def files_to_read(run: RunContext) -> list[InputFile]:
    """Return each file once, also where its rows are in several splits."""
    return [file for file in run.files if not file.is_cut]


def _tasks(run: RunContext, files: Sequence[InputFile]) -> Iterator[PoolTask]:
    job = parse_job(run)
    flat = run.schema.flat_source is not None
    first_sample_ids = find_first_sample_ids(job, files, run.pool, run.progress) if flat else None
    text_bytes = float(sum(file.path.stat().st_size for file in files))
    plain = all(file.packing == "plain" for file in run.files)
    run.progress.start("read", text_bytes if plain else None, "B")
    return flat_tasks(job, files, PARSE, first_sample_ids) if flat else parse_tasks(job, files)


def parse_job(run: RunContext) -> ParseJob:
    """Return how all chunks are parsed; where the split is one by time, its times are read first."""
    job = ParseJob(
        work=run.work,
        schema=run.schema,
        partitions=run.plan.partitions,
        chunk_bytes=run.plan.chunk_bytes,
        piece_items=run.plan.piece_items,
        is_joined=run.schema.events_source is not None,
        choice=RowChoice(
            validation_share=run.config.validation_share,
            keep_negatives=run.config.keep_negatives,
            seed=run.config.seed,
            context_share=1.0 if run.inspection is None else run.inspection.context_share,
        ),
    )
    source = run.schema.flat_source
    if run.config.day_choice.is_made:
        job = replace(job, cut=_day_cut(run, job))
    if source is not None and source.split is not None and source.split.is_by_time:
        job = replace(job, test_begin=find_test_begin(job, files_to_read(run), run.pool, run.progress))
    return job


def _day_cut(run: RunContext, job: ParseJob) -> DayCut:
    """Return the cut by days; where it makes splits, the days of the log are read first."""
    choice = replace(run.config.day_choice, splits=run.cut_splits)
    if not choice.cuts_train:
        return cut_of_days(choice)
    files = [file for file in files_to_read(run) if file.split == "train"]
    rows = rows_of_days(job, files, run.pool, run.progress)
    if not rows:
        return cut_of_days(choice)  # reading tells that the files are empty
    cut = choose_cut(choice, rows)

    def told() -> Result:
        run.progress.message(cut_line(cut, rows, job.flat_source))
        return {}

    run.pool.once("all-days-told", told)
    return cut


class _Counts:
    """Adds up what the parse tasks count."""

    def __init__(self, run: RunContext) -> None:
        self._most = run.config.max_reject_share
        self.tables: Tables = {s: {f.kind: TableTally() for f in run.files if f.split == s} for s in run.splits}
        self.partition_bytes: dict[str, I64] = {s: np.zeros(run.plan.partitions, np.int64) for s in run.splits}
        self.checked: list[Result] = []
        self.hopeless: tuple[str, str] | None = None
        """Split and kind of lines of which the first too many were rejected."""

    def add(self, chunk: Result) -> None:
        split, kind = chunk["split"], chunk["kind"]
        tally = self.tables[split][kind]
        tally.add(chunk)
        self.checked.append({name: chunk[name] for name in CHECKED_COLUMNS if name in chunk})
        self.partition_bytes[split] += np.array(chunk["partition_bytes"], np.int64)
        if self.hopeless is None and tally.is_hopeless(self._most):
            self.hopeless = split, kind


SCHEMA_NAME = "schema.yaml"
"""File beside a log in which its schema may lie; ``esmm synth`` writes one."""


def _stop_early(run: RunContext, tables: Tables, split: str, kind: str) -> None:
    """Keep the rejects of what was read of a split, and raise."""
    tally = tables[split][kind]
    first = list_rejects(run, split, tables[split])
    see = f"The run stopped after {tally.lines:,} lines; see {run.reject_path(split)}."
    of_log = run.config.raw / SCHEMA_NAME
    if Reason.WRONG_COLUMNS in tally.rejected and of_log.is_file() and run.config.schema != str(of_log):
        see += f" The log has a schema of its own: --schema {of_log}."
    tally.check_share(split, kind, run.config.max_reject_share, see, first.get(kind, {}))
