"""``esmm logs``: the lines of a job's process."""

from typing import Any

from esmm_dist.escaped import lines_of
from esmm_dist.progress import Progress
from launcher.command import Command, Outcome


def _load_settings() -> type:
    from launcher.jobs.config import LogsConfig

    return LogsConfig


def _run(settings: Any, progress: Progress) -> Outcome:
    from launcher.jobs.find import find_job

    job = find_job(settings.job, settings.namespace, say=progress.message)
    count = 0
    # As they come, not as the report at the end
    for line in job.logs(settings.which, follow=settings.follow, tail=settings.tail):
        count += 1
        print(lines_of(line), flush=settings.follow)
    return Outcome(lines=[], result={"lines": count})


COMMAND = Command(
    name="logs",
    summary="Show the lines of a run's or job's driver, worker or server.",
    example="esmm logs nightly --rank 0 -f",
    load_settings=_load_settings,
    run=_run,
    positional=("job",),
    short={"follow": "-f"},
)
