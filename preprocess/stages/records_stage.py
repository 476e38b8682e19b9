"""Stage 5: join, filter, group and encode the impressions of all splits."""

from preprocess.read.row_files import RowFiles
from preprocess.stages.context import RunContext
from preprocess.stages.parse_stage import ParsedLog
from preprocess.stages.partitions import partitions_of
from preprocess.work.workers import PoolTask, Result
from preprocess.write.records import RecordsJob, write_records

Records = dict[str, dict[str, Result]]
"""What ``write_records`` counted, by split and name of the partition."""


def encode_records(run: RunContext, parsed: ParsedLog, files: RowFiles, group_size: int) -> Records:
    """Write the records that are not written yet; the rows and the counts are deleted then.

    Raises:
        ConfigError: A record is longer than readers take.
    """
    records = run.pool.once("all-records", lambda: _encode_all(run, parsed, files, group_size))
    run.delete_read(path for name in ("chunks", "counts") for path in (run.work / name).iterdir())
    return records


def _encode_all(run: RunContext, parsed: ParsedLog, files: RowFiles, group_size: int) -> Records:
    sources = [source for split in run.splits for source in partitions_of(run, parsed, files, split)]
    job = RecordsJob(
        work=run.work,
        schema=run.schema,
        group_size=group_size,
        seed=run.config.seed,
        keeps_all=run.inspection is not None,
    )
    tasks = (
        PoolTask(
            name=f"records-{source.name}",
            function=write_records,
            arguments={"job": job, "source": source},
            size=float(source.row_bytes),
        )
        for source in sources
    )
    results = run.run_all("write records", tasks, float(sum(source.row_bytes for source in sources)), "B")
    records: Records = {split: {} for split in run.splits}
    for source in sources:
        records[source.split][source.name] = results[f"records-{source.name}"]
    return records
