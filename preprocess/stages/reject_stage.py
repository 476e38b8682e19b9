"""Stage 2: reject lines that repeat an earlier one's name, list all rejects, and stop a run with too many."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from preprocess.join.repeats import find_repeats, merge_repeats
from preprocess.read.flat.header import columns_read
from preprocess.read.inputs import InputFile
from preprocess.read.row_files import RowFile, RowFiles, RowKind
from preprocess.read.tally import Tables, TableTally
from preprocess.stages.context import RunContext
from preprocess.work.workers import PoolTask, Result
from preprocess.write.reject_files import REPEAT_REASONS, write_reject_file

FirstRejects = Mapping[str, Mapping[str, str]]
"""For each kind of file and each reason, the place of the first rejected line, in words."""


@dataclass(frozen=True, kw_only=True)
class AcceptedLines:
    """Counts of lines with all that is rejected; the rejects are listed in ``rejects/{split}.jsonl``."""

    tables: Tables
    first_rejects: Mapping[str, FirstRejects]
    """By split."""

    def train_impressions(self) -> int:
        """Return the impressions of the train split; 0 if the log has none."""
        tally = self._train()
        if tally is None:
            return 0
        left_out = tally.left_out + tally.too_recent + tally.other_days.total()
        return tally.lines - sum(tally.rejected.values()) - left_out

    def left_out_negatives(self) -> int:
        """Return the negatives of the train split that are left out."""
        tally = self._train()
        return tally.left_out if tally is not None else 0

    def _train(self) -> TableTally | None:
        train = self.tables.get("train")
        return None if train is None else train.get("skeleton") or train["log"]


def reject_repeats(run: RunContext, parsed: Tables, files: RowFiles) -> AcceptedLines:
    """Find repeated names, and list the rejected lines.

    Raises:
        InputDataError: More lines than ``max_reject_share`` allows, or all, are rejected.
    """
    tables: Tables = {}
    first: dict[str, FirstRejects] = {}
    for split in run.splits:
        tables[split] = _with_repeats(run, split, parsed[split], files)
        listed = run.pool.once(f"all-rejects-{split}", partial(_listed, run, split, tables[split]))
        first[split] = listed["first"]
    for split, of_split in tables.items():
        for kind, tally in of_split.items():
            see = f"See {run.reject_path(split)}." if run.inspection is None else "esmm preprocess lists them."
            tally.check_share(split, kind, run.config.max_reject_share, see, first[split].get(kind, {}))
    return AcceptedLines(tables=tables, first_rejects=first)


def list_rejects(run: RunContext, split: str, tallies: Mapping[str, TableTally]) -> dict[str, dict[str, str]]:
    """Write the rejected lines of a split; return where the first of each kind and reason stands."""
    listed: list[tuple[InputFile, RowKind, TableTally]] = [
        (file, "common" if file.kind == "common" else "skeleton", tallies[file.kind])
        for file in run.files
        if file.split == split
    ]
    columns = list(columns_read(run.schema)) if run.schema.flat_source is not None else []
    return write_reject_file(run.reject_path(split), run.work, listed, run.plan.chunk_bytes, columns)


def _listed(run: RunContext, split: str, tallies: Mapping[str, TableTally]) -> Result:
    return {"first": list_rejects(run, split, tallies)}


def _with_repeats(
    run: RunContext, split: str, parsed: Mapping[str, TableTally], files: RowFiles
) -> dict[str, TableTally]:
    """Return the counts of a split's lines with those that repeat an earlier name rejected too."""
    tallies = dict(parsed)
    for kind, table in _named_rows(run).items():
        tally = tallies[table]
        find = partial(_find_repeats, run, split, kind, files[split, kind])
        found = run.pool.once(f"all-repeats-{split}-{kind}", find)
        if found["repeats"]:
            rejected = tally.rejected + Counter({str(REPEAT_REASONS[kind]): found["repeats"]})
            tallies[table] = replace(tally, rejected=rejected)
    return tallies


def _named_rows(run: RunContext) -> dict[RowKind, str]:
    """Return the kinds of rows whose names must not repeat, and the kind of lines that they come from."""
    source = run.schema.flat_source
    if source is None:
        return {"skeleton": "skeleton", "common": "common"}
    # The common rows of a flat log repeat, as each chunk has its own.
    return {"skeleton": "log"} if source.sample_id is not None else {}


def _find_repeats(run: RunContext, split: str, kind: RowKind, files: Sequence[RowFile]) -> Result:
    partitions = run.plan.partitions
    shared = {"work": run.work, "kind": kind, "split": split, "files": files}
    tasks = (
        PoolTask(
            name=f"repeats-{split}-{kind}-{p:04d}",
            function=find_repeats,
            arguments={**shared, "partition": p},
            size=1.0,
        )
        for p in range(partitions)
    )
    lines = kind if run.schema.flat_source is None else "log"
    run.run_all(f"look for repeats ({split}, {lines})", tasks, float(partitions), "partitions")
    return merge_repeats(run.work, kind, split, partitions)
