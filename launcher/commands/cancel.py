"""``esmm cancel``: end a job so that it can be resumed."""

from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome


def _load_settings() -> type:
    from launcher.jobs.config import CancelConfig

    return CancelConfig


def _run(settings: Any, progress: Progress) -> Outcome:
    from launcher.jobs.find import find_job

    job = find_job(settings.job, settings.namespace)
    done = job.cancel(now=settings.now, wait_s=settings.wait_s, progress=progress)
    return Outcome(lines=done.lines, result=done.result, done=done.done)


COMMAND = Command(
    name="cancel",
    summary="End a run or job so that it can be resumed: it saves first.",
    example="esmm cancel nightly",
    load_settings=_load_settings,
    run=_run,
    positional=("job",),
)
