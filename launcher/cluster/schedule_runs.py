"""The runs of a schedule: which there were, how they ended, and when the next one is due."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from launcher.cluster.api.kinds import Object
from launcher.cluster.job_file import JobFile
from launcher.cluster.troubles import MOST_LINES, MOST_WORDS
from launcher.run_files.schedule_status import ScheduledRun, ScheduleStatus
from launcher.tasks import TASKS

CONTROLLER_LABELS = ("job-name", "batch.kubernetes.io/job-name")
"""Labels by which a pod tells its Job; the second is newer."""


def schedule_state(cron_job: Object | None) -> str:
    """Return the state of a schedule: ``running``, ``scheduled``, ``suspended``; ``stopped`` if its CronJob is gone."""
    if cron_job is None:
        return "stopped"
    if (cron_job.get("status") or {}).get("active"):
        return "running"
    return "suspended" if (cron_job.get("spec") or {}).get("suspend") else "scheduled"


def schedule_status(
    file: JobFile, cron_job: Object | None, jobs: Sequence[Object], pods: Sequence[Object], now: datetime | None = None
) -> ScheduleStatus:
    """Return what is known of a schedule.

    Args:
        file: the job
        cron_job: its CronJob
        jobs: its Jobs, one a run
        pods: its pods
        now: the time, with its zone. None: now
    """
    schedule = file.schedule
    assert schedule is not None
    suspended = cron_job is None or bool((cron_job.get("spec") or {}).get("suspend"))
    due = "" if suspended else schedule.next_after(now or datetime.now(UTC)).isoformat(timespec="minutes")
    runs = [_run(file, job, pods) for job in sorted(jobs, key=_created, reverse=True)]
    return ScheduleStatus(cron=schedule.cron, time_zone=schedule.time_zone, next_run=due, runs=runs)


def newest_run(jobs: Sequence[Object]) -> str | None:
    """Return the name of the Job of the newest run; None if there was none."""
    newest = max(jobs, key=_created, default=None)
    return None if newest is None else str(newest["metadata"]["name"])


def pods_of_run(pods: Sequence[Object], run: str | None) -> list[Object]:
    """Return the pods of a run."""
    return [pod for pod in pods if run is not None and run in _job_names(pod)]


def last_words(lines: Iterable[str]) -> str:
    """Return the end of what a process wrote, on one line."""
    return " / ".join([line.strip() for line in lines if line.strip()][-MOST_LINES:])[-MOST_WORDS:]


def is_active(job: Object) -> bool:
    """Return whether a Job has not ended."""
    return _ending(job) is None


def _run(file: JobFile, job: Object, pods: Sequence[Object]) -> ScheduledRun:
    status = job.get("status") or {}
    name = str(job["metadata"]["name"])
    started = str(status.get("startTime") or "")
    ending = _ending(job)
    if ending is None:
        return ScheduledRun(name=name, started=started, ended="", state="running")
    if ending["type"] == "Complete":
        ended = str(status.get("completionTime") or ending.get("lastTransitionTime") or "")
        return ScheduledRun(name=name, started=started, ended=ended, state="done")
    own = pods_of_run(pods, name)
    code, words = _last_ending(own)
    refused = code in TASKS[file.task].final_statuses
    return ScheduledRun(
        name=name,
        started=started,
        ended=str(ending.get("lastTransitionTime") or ""),
        state="refused" if refused else "failed",
        last_words=words if own else str(ending.get("message") or ending.get("reason") or ""),
    )


def _ending(job: Object) -> dict[str, Any] | None:
    for each in (job.get("status") or {}).get("conditions") or []:
        if each.get("type") in ("Complete", "Failed") and each.get("status") == "True":
            return dict(each)
    return None


def _last_ending(pods: Sequence[Object]) -> tuple[int | None, str]:
    """Return the exit status of the last pod that ended, and what it wrote last, on one line."""
    for pod in sorted(pods, key=_created, reverse=True):
        for each in (pod.get("status") or {}).get("containerStatuses") or []:
            if ended := (each.get("state") or {}).get("terminated"):
                return int(ended.get("exitCode") or 0), last_words(str(ended.get("message") or "").splitlines())
    return None, ""


def _job_names(pod: Object) -> set[str]:
    labels = pod["metadata"].get("labels") or {}
    return {str(labels[key]) for key in CONTROLLER_LABELS if key in labels}


def _created(thing: Object) -> str:
    return str(thing["metadata"].get("creationTimestamp") or "")
