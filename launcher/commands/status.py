"""``esmm status``: the state of a job."""

import sys
from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome
from launcher.terminal.json_line import json_value


def _load_settings() -> type:
    from launcher.jobs.config import StatusJobConfig

    return StatusJobConfig


def _run(settings: Any, progress: Progress) -> Outcome:
    from launcher.jobs.find import is_local

    return _local(settings) if is_local(settings.job, settings.namespace) else _cluster(settings)


def _local(settings: Any) -> Outcome:
    from esmm_dist.storage.folder import Folder
    from launcher.jobs.local_run import LocalRun
    from launcher.run_files.run_status import STATUS_NAME, read_status
    from launcher.run_files.status_lines import is_stale, status_lines
    from launcher.terminal.watch import read_and_watch

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


def _cluster(settings: Any) -> Outcome:
    from launcher.cluster.status import job_lines
    from launcher.jobs.find import find_job
    from launcher.terminal.watch import read_and_watch

    job = find_job(settings.job, settings.namespace)
    status = read_and_watch(job.status, job_lines, sys.stderr, every_s=settings.watch)
    return Outcome(lines=job_lines(status), result=json_value(status))


COMMAND = Command(
    name="status",
    summary="Show the ranks, servers, speed, checkpoints and restarts of a run or job, and what holds it up.",
    example="esmm status run --watch 2",
    load_settings=_load_settings,
    run=_run,
    positional=("job",),
)
