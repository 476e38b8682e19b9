"""The verbs of a job (status, logs, scale, cancel, resume, delete) and the list of jobs."""

import sys
from collections.abc import Sequence
from pathlib import Path

from esmm_dist.escaped import lines_of
from esmm_dist.text_table import text_table
from launcher.command import CommandContext, Outcome
from launcher.jobs.config import (
    CancelConfig,
    DeleteConfig,
    JobsConfig,
    LogsConfig,
    ResumeConfig,
    ScaleConfig,
    StatusConfig,
    WaitingConfig,
)
from launcher.jobs.find import find_job
from launcher.run_files.job import JobRow
from launcher.run_files.job_lines import job_lines, job_result
from launcher.terminal.json_line import json_value
from launcher.terminal.wait import Wait
from launcher.terminal.watch import read_and_watch


def status_command(settings: StatusConfig, context: CommandContext) -> Outcome:
    """Show the state of a job, once or again and again."""
    job = find_job(settings.job, settings.namespace)
    status = read_and_watch(job.status, job_lines, sys.stderr, every_s=settings.watch)
    return Outcome(lines=job_lines(status), result=job_result(status))


def logs_command(settings: LogsConfig, context: CommandContext) -> Outcome:
    """Print the lines of a job's process as they come, not as the report at the end."""
    job = find_job(settings.job, settings.namespace)
    count = 0
    for line in job.logs(settings.which, follow=settings.follow, tail=settings.tail, say=context.progress.message):
        count += 1
        print(lines_of(line), flush=settings.follow)
    return Outcome(lines=[], result={"lines": count})


def scale_command(settings: ScaleConfig, context: CommandContext) -> Outcome:
    """Change the number of workers, servers or pods that answer of a job."""
    job, wait = find_job(settings.job, settings.namespace), _wait(settings, context)
    if settings.workers is not None:
        return job.scale_workers(settings.workers, wait)
    if settings.replicas is not None:
        return job.scale_replicas(settings.replicas, settings.max_replicas or settings.replicas, wait)
    assert settings.servers is not None
    return job.scale_servers(settings.servers, wait)


def cancel_command(settings: CancelConfig, context: CommandContext) -> Outcome:
    """End a job so that it can be resumed."""
    return find_job(settings.job, settings.namespace).cancel(_wait(settings, context), now=settings.now)


def resume_command(settings: ResumeConfig, context: CommandContext) -> Outcome:
    """Resume a job that has ended."""
    return find_job(settings.job, settings.namespace).resume(_wait(settings, context), context.run_line)


def delete_command(settings: DeleteConfig, context: CommandContext) -> Outcome:
    """Remove a job."""
    wait = _wait(settings, context)
    return find_job(settings.job, settings.namespace).delete(wait, keep_data=settings.keep_data)


def _wait(settings: WaitingConfig, context: CommandContext) -> Wait:
    return Wait(timeout_s=settings.wait_s, progress=context.progress)


def jobs_command(settings: JobsConfig, context: CommandContext) -> Outcome:
    """List the jobs of a cluster and the runs of this machine."""
    from launcher.cluster.api.connect import cluster_is_known, connect
    from launcher.cluster.jobs import cluster_jobs
    from launcher.jobs.list_runs import local_runs

    asks = cluster_is_known() or settings.namespace is not None or settings.all_namespaces
    api = connect(settings.namespace) if asks else None

    def read() -> list[JobRow]:
        found = cluster_jobs(api, everywhere=settings.all_namespaces) if api is not None else []
        return found + ([] if settings.namespace is not None else local_runs(Path()))

    rows = read_and_watch(read, _table, sys.stderr, every_s=settings.watch)
    if api is None:
        context.progress.message(
            "No cluster is known (no KUBECONFIG, no ~/.kube/config): these are the runs in folders below this one."
        )
    return Outcome(lines=_table(rows), result={"jobs": json_value(rows)})


def _table(rows: Sequence[JobRow]) -> list[str]:
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
