"""Between stages 1 and 2: make large files of the rows of many chunks, so that all later passes read large blocks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from preprocess.read.row_files import RowFile, RowFiles, RowKind, merge_row_files, merged_rows_path, rows_path
from preprocess.stages.context import RunContext
from preprocess.stages.parse_stage import ParsedLog
from preprocess.work.merge_blocks import group_files
from preprocess.work.workers import PoolTask

_KINDS: tuple[RowKind, RowKind] = ("common", "skeleton")


def merge_rows(run: RunContext, parsed: ParsedLog) -> RowFiles:
    """Merge what is not merged yet; the files of the chunks are deleted then. A small log has nothing to merge."""
    groups = {
        (split, kind): _groups(run, split, kind, _chunk_files(run, parsed, split, kind))
        for split in run.splits
        for kind in _KINDS
    }
    merges = {
        f"merge-{split}-{kind}-{number:05d}": (merged_rows_path(run.work, split, kind, number), group)
        for (split, kind), of_kind in groups.items()
        for number, group in enumerate(of_kind)
        if len(group) > 1
    }
    run.pool.once("all-merges", lambda: _merge_all(run, merges))
    return {
        (split, kind): tuple(
            group[0] if len(group) == 1 else RowFile(path=merged_rows_path(run.work, split, kind, number), base=0)
            for number, group in enumerate(of_kind)
        )
        for (split, kind), of_kind in groups.items()
    }


def _merge_all(run: RunContext, merges: Mapping[str, tuple[Path, Sequence[RowFile]]]) -> dict[str, int]:
    tasks = (
        PoolTask(
            name=name,
            function=merge_row_files,
            arguments={"path": path, "files": group, "room_bytes": run.plan.merge_bytes},
            size=float(len(group)),
        )
        for name, (path, group) in merges.items()
    )
    run.progress.start("merge rows", float(sum(len(group) for _, group in merges.values())), "files")
    for name, _ in run.pool.run(tasks, run.progress):  # one by one, so that the disk does not hold all rows twice
        run.delete_read(file.path for file in merges[name][1])
    return {"merged": len(merges)}


def _groups(run: RunContext, split: str, kind: RowKind, files: Sequence[RowFile]) -> list[Sequence[RowFile]]:
    """Cut files into groups; the choice is kept, as it is made from files that are deleted later."""

    def choose() -> dict[str, list[int]]:
        sizes = [file.path.stat().st_size for file in files]
        return {"ends": group_files(sizes, run.plan.partitions, run.plan.merge_bytes)}

    ends = run.pool.once(f"groups-{split}-{kind}", choose)["ends"]
    return [files[begin:end] for begin, end in zip([0, *ends[:-1]], ends, strict=True)]


def _chunk_files(run: RunContext, parsed: ParsedLog, split: str, kind: RowKind) -> tuple[RowFile, ...]:
    tally = parsed.tables[split].get(kind) or parsed.tables[split]["log"]
    source = run.schema.flat_source
    before = tally.rows_before()
    is_numbered_here = kind == "skeleton" and source is not None and source.sample_id is None
    return tuple(
        RowFile(
            path=rows_path(run.work, kind, chunk),
            base=chunk.base,
            first_sample_id=1 + before[chunk.file, chunk.chunk] if is_numbered_here else 0,
        )
        for chunk in tally.chunks(split)
    )
