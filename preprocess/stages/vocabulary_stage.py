"""Stages 3 and 4: count the train impressions of each id, and make the vocabulary."""

import shutil

import numpy as np

from preprocess.join.count import count_partition
from preprocess.join.known_ids import KNOWN_IDS_NAME, known_paths, scatter_known
from preprocess.join.vocabulary import (
    RARE_IDS_NAME,
    VOCABULARY_NAME,
    MergeJob,
    merge_counts,
    write_rare_ids,
    write_vocabulary,
)
from preprocess.read.row_files import RowFiles
from preprocess.report import check_kept
from preprocess.stages.context import RunContext
from preprocess.stages.parse_stage import ParsedLog
from preprocess.stages.partitions import partitions_of
from preprocess.work.workers import PoolTask, Result


def make_vocabulary(run: RunContext, parsed: ParsedLog, files: RowFiles, min_count: int) -> list[Result]:
    """Write the vocabulary; return what ``merge_counts`` counted in each bucket of ids.

    Raises:
        ConfigError: The known ids do not fit the schema, or the ids of one field do not fit the memory.
        InputDataError: No id is kept.
    """
    kept = run.pool.once("all-counts", lambda: {"buckets": _merge(run, _count(run, parsed, files), min_count)})
    buckets: list[Result] = kept["buckets"]
    check_kept(buckets, min_count, by_table=run.known is not None and "table" in run.known.paths)
    return buckets


def _count(run: RunContext, parsed: ParsedLog, files: RowFiles) -> tuple[str, ...]:
    """Count the ids of the train split; return the names of the partitions that were counted."""
    sources = partitions_of(run, parsed, files, "train") if "train" in run.splits else []
    shared = {"work": run.work, "schema": run.schema, "buckets": run.plan.partitions}
    tasks = (
        PoolTask(
            name=f"count-{source.name}",
            function=count_partition,
            arguments={**shared, "source": source},
            size=float(source.row_bytes),
        )
        for source in sources
    )
    run.run_all("count ids", tasks, float(sum(source.row_bytes for source in sources)), "B")
    return tuple(source.name for source in sources)


def _merge(run: RunContext, counted: tuple[str, ...], min_count: int) -> list[Result]:
    buckets = run.plan.partitions
    blocks = _scatter_known(run, buckets)
    job = MergeJob(
        work=run.work,
        schema=run.schema,
        buckets=buckets,
        names=counted,
        known_fields=tuple(known_paths(run.work, "field", blocks)),
        known_tables=tuple(known_paths(run.work, "table", blocks)),
        min_count=min_count,
        known_counts=tuple(known_paths(run.work, "count", blocks)),
    )
    tasks = (
        PoolTask(name=f"merge-{b:04d}", function=merge_counts, arguments={"job": job, "bucket": b}, size=1.0)
        for b in range(buckets)
    )
    merged = list(run.run_all("make the vocabulary", tasks, float(buckets), "buckets").values())
    memory_bytes = int(run.config.memory_gb * 1e9)
    kept_ids, rare_ids = (
        np.sum([bucket[name] for bucket in merged], axis=0).tolist() for name in ("kept_ids", "rare_ids")
    )
    write_vocabulary(run.final / VOCABULARY_NAME, job, kept_ids, memory_bytes)
    write_rare_ids(run.final / RARE_IDS_NAME, job, rare_ids, memory_bytes)
    return merged


def _scatter_known(run: RunContext, buckets: int) -> dict[str, int]:
    """Put the known ids into buckets; return the number of their files. They go with the data set, too."""
    if run.known is None:
        return {}
    arguments = {"work": run.work, "known": run.known, "schema": run.schema, "buckets": buckets}
    task = PoolTask(name="known", function=scatter_known, arguments=arguments, size=1.0)
    result = run.run_all("read the known ids", [task], 1.0, "steps")["known"]
    if result["unused"]:
        run.progress.message(f"Ignoring the known ids of {', '.join(result['unused'])}, which the schema lacks.")
    of_tables = run.known.paths.get("table")
    if of_tables is not None:
        shutil.copyfile(of_tables, run.final / KNOWN_IDS_NAME)
    blocks: dict[str, int] = result["blocks"]
    return blocks
