"""``esmm resume``: go on with a job that has ended."""

from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome


def _load_settings() -> type:
    from launcher.jobs.config import ResumeConfig

    return ResumeConfig


def _run(settings: Any, progress: Progress) -> Outcome:
    from launcher.cli import run_line
    from launcher.jobs.find import find_job

    job = find_job(settings.job, settings.namespace)
    done = job.resume(wait_s=settings.wait_s, progress=progress, run_line=run_line)
    return Outcome(lines=done.lines, result=done.result, done=done.done)


COMMAND = Command(
    name="resume",
    summary="Go on with a run or job that has ended, from its last checkpoint.",
    example="esmm resume nightly",
    load_settings=_load_settings,
    run=_run,
    positional=("job",),
)
