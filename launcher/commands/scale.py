"""``esmm scale``: change the number of workers or servers of a job."""

from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome


def _load_settings() -> type:
    from launcher.jobs.config import ScaleJobConfig

    return ScaleJobConfig


def _run(settings: Any, progress: Progress) -> Outcome:
    from launcher.jobs.find import find_job

    job = find_job(settings.job, settings.namespace)
    if settings.workers is not None:
        done = job.scale_workers(settings.workers, wait_s=settings.wait_s, progress=progress)
    else:
        done = job.scale_servers(settings.servers, wait_s=settings.wait_s, progress=progress)
    return Outcome(lines=done.lines, result=done.result, done=done.done)


COMMAND = Command(
    name="scale",
    summary="Change the number of workers of a run or job while it trains, or of a job's servers.",
    example="esmm scale run --workers 3",
    load_settings=_load_settings,
    run=_run,
    positional=("job",),
)
