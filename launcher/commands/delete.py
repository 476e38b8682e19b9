"""``esmm delete``: remove a job."""

from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome


def _load_settings() -> type:
    from launcher.jobs.config import DeleteConfig

    return DeleteConfig


def _run(settings: Any, progress: Progress) -> Outcome:
    from launcher.jobs.find import find_job

    job = find_job(settings.job, settings.namespace)
    done = job.delete(keep_data=settings.keep_data, wait_s=settings.wait_s, progress=progress)
    return Outcome(lines=done.lines, result=done.result, done=done.done)


COMMAND = Command(
    name="delete",
    summary="Remove a run or job; what it has stored stays unless --no-keep-data is given.",
    example="esmm delete nightly",
    load_settings=_load_settings,
    run=_run,
    positional=("job",),
)
