"""The verbs of a job (status, logs, scale, cancel, resume, delete) and the list of jobs."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from esmm_dist.escaped import lines_of
from launcher.command import CommandContext, Outcome
from launcher.jobs.config import (
    CancelConfig,
    DeleteConfig,
    JobsConfig,
    LogsConfig,
    ResumeConfig,
    ScaleJobConfig,
    StatusJobConfig,
)
from launcher.jobs.find import find_job, is_local
from launcher.run_files.job import Done, JobRow
from launcher.terminal.json_line import json_value
from launcher.terminal.text_table import text_table
from launcher.terminal.watch import read_and_watch


def status_command(settings: StatusJobConfig, context: CommandContext) -> Outcome:
    """Show the state of a job, once or again and again."""
    return _local_status(settings) if is_local(settings.job, settings.namespace) else _cluster_status(settings)


def _local_status(settings: StatusJobConfig) -> Outcome:
    from esmm_dist.storage.folder import Folder
    from launcher.jobs.local_run import LocalRun
    from launcher.run_files.run_status import STATUS_NAME, read_status
    from launcher.run_files.status_lines import is_stale, status_lines

    run = Folder.open(settings.job)
    if not run.has(STATUS_NAME):  # not elastic: there is no driver
        plain = read_and_watch(LocalRun(settings.job).status, _plain_lines, sys.stderr, every_s=settings.watch)
        return Outcome(lines=_plain_lines(plain), result=json_value(plain))
    status = read_and_watch(lambda: read_status(run), status_lines, sys.stderr, every_s=settings.watch)
    return Outcome(lines=status_lines(status), result=json_value(status) | {"stale": is_stale(status)})


def _plain_lines(status: Any) -> list[str]:
    from launcher.run_files.plain_run import progress_lines

    return [
        f"{status.job}: {status.state} (not elastic)",
        *(progress_lines(status.progress) if status.progress is not None else []),
    ]


def _cluster_status(settings: StatusJobConfig) -> Outcome:
    from launcher.cluster.status import job_lines

    job = find_job(settings.job, settings.namespace)
    status = read_and_watch(job.status, job_lines, sys.stderr, every_s=settings.watch)
    return Outcome(lines=job_lines(status), result=json_value(status))


def logs_command(settings: LogsConfig, context: CommandContext) -> Outcome:
    """Print the lines of a job's process as they come, not as the report at the end."""
    job = find_job(settings.job, settings.namespace, say=context.progress.message)
    count = 0
    for line in job.logs(settings.which, follow=settings.follow, tail=settings.tail):
        count += 1
        print(lines_of(line), flush=settings.follow)
    return Outcome(lines=[], result={"lines": count})


def scale_command(settings: ScaleJobConfig, context: CommandContext) -> Outcome:
    """Change the number of workers or servers of a job."""
    job = find_job(settings.job, settings.namespace)
    if settings.workers is not None:
        return _outcome(job.scale_workers(settings.workers, wait_s=settings.wait_s, progress=context.progress))
    assert settings.servers is not None
    return _outcome(job.scale_servers(settings.servers, wait_s=settings.wait_s, progress=context.progress))


def cancel_command(settings: CancelConfig, context: CommandContext) -> Outcome:
    """End a job so that it can be resumed."""
    job = find_job(settings.job, settings.namespace)
    return _outcome(job.cancel(now=settings.now, wait_s=settings.wait_s, progress=context.progress))


def resume_command(settings: ResumeConfig, context: CommandContext) -> Outcome:
    """Resume a job that has ended."""
    job = find_job(settings.job, settings.namespace)
    return _outcome(job.resume(wait_s=settings.wait_s, progress=context.progress, run_line=context.run_line))


def delete_command(settings: DeleteConfig, context: CommandContext) -> Outcome:
    """Remove a job."""
    job = find_job(settings.job, settings.namespace)
    return _outcome(job.delete(keep_data=settings.keep_data, wait_s=settings.wait_s, progress=context.progress))


def _outcome(done: Done) -> Outcome:
    return Outcome(lines=done.lines, result=done.result, done=done.done)


def jobs_command(settings: JobsConfig, context: CommandContext) -> Outcome:
    """List the jobs of a cluster and the runs of this machine."""
    from launcher.cluster.api import cluster_is_known, connect
    from launcher.cluster.jobs import cluster_jobs
    from launcher.jobs.list_runs import local_runs

    asks = cluster_is_known() or settings.namespace is not None or settings.all_namespaces
    api = connect(settings.namespace) if asks else None

    def read() -> list[JobRow]:
        found = cluster_jobs(api, everywhere=settings.all_namespaces) if api is not None else []
        return found + ([] if settings.namespace is not None else local_runs(Path()))

    rows = read_and_watch(read, _job_lines, sys.stderr, every_s=settings.watch)
    if api is None:
        context.progress.message(
            "No cluster is known (no KUBECONFIG, no ~/.kube/config): these are the runs in folders below this one."
        )
    return Outcome(lines=_job_lines(rows), result={"jobs": json_value(rows)})


def _job_lines(rows: Sequence[JobRow]) -> list[str]:
    if not rows:
        return ["There are no jobs, and no runs in folders below this one."]
    return text_table(
        ["job", "namespace", "task", "state", "ranks", "step", "submitted"],
        [
            [
                *(each.job, each.where, each.task, each.state, "-" if each.ranks is None else str(each.ranks)),
                "-" if each.step is None else _steps(each.step, each.total_steps),
                each.since or "-",
            ]
            for each in rows
        ],
    )


def _steps(step: int, total_steps: int | None) -> str:
    return f"{step:,}" if total_steps is None else f"{step:,} of {total_steps:,}"
