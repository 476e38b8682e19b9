"""The partitions of a split's rows: what counting and joining load one by one."""

from preprocess.join.partition import PartitionSource
from preprocess.join.skew import split_partition, split_sources
from preprocess.read.row_files import RowFiles
from preprocess.stages.context import RunContext
from preprocess.stages.parse_stage import ParsedLog
from preprocess.work.workers import PoolTask


def partitions_of(run: RunContext, parsed: ParsedLog, files: RowFiles, split: str) -> list[PartitionSource]:
    """List the partitions of a split; those that memory does not hold are cut first."""
    common, skeleton = files[split, "common"], files[split, "skeleton"]
    whole = [
        PartitionSource(
            name=f"{split}-{p:04d}", split=split, index=p, common=common, skeleton=skeleton, row_bytes=row_bytes
        )
        for p, row_bytes in enumerate(parsed.partition_bytes[split])
    ]
    limit = run.plan.partition_limit_bytes
    return [source for source in whole if source.row_bytes <= limit] + _cut(
        run, split, [source for source in whole if source.row_bytes > limit]
    )


def _cut(run: RunContext, split: str, large: list[PartitionSource]) -> list[PartitionSource]:
    if not large:
        return []
    limit = run.plan.partition_limit_bytes
    shared = {"work": run.work, "seed": run.config.seed}
    tasks, source_of = [], {}
    for source in large:
        parts = 2 * source.row_bytes // limit
        name = f"split-{source.name}-in-{parts:04d}"
        source_of[name] = source
        arguments = {**shared, "source": source, "parts": parts}
        tasks.append(PoolTask(name=name, function=split_partition, arguments=arguments, size=float(source.row_bytes)))
    total = float(sum(source.row_bytes for source in large))
    results = run.run_all(f"cut large partitions ({split})", tasks, total, "B")
    return [
        part for name, result in sorted(results.items()) for part in split_sources(run.work, source_of[name], result)
    ]
