"""Suspend a schedule, and let it start runs again."""

from datetime import UTC, datetime

from esmm_dist.errors import ConfigError
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.api.client import Api
from launcher.cluster.schedule_runs import is_active
from launcher.cluster.snapshot import JobSnapshot, has_ended
from launcher.cluster.wait import wait_for
from launcher.command import Outcome
from launcher.terminal.wait import Wait


def suspend(api: Api, snapshot: JobSnapshot, wait: Wait) -> Outcome:
    """Let no run start any more, and end the one in progress.

    Raises:
        ConfigError: the schedule is suspended, and no run is in progress
        RetryError: the run has not ended within the time
    """
    job, active = snapshot.job, [str(each["metadata"]["name"]) for each in snapshot.runs if is_active(each)]
    if snapshot.state == "suspended" and not active:
        raise ConfigError(
            f"Job {job} is suspended already, and no run is in progress. esmm resume {job} lets runs start again, esmm "
            f"delete {job} removes it."
        )
    _set_suspended(api, snapshot, True)
    for name in active:
        api.delete(kinds.JOB, name)
    result = {"job": job, "state": "suspended", "ended_runs": active}
    ended = f", and its run {active[0]} is ended" if active else ""
    line = f"Job {job} is suspended{ended}. esmm resume {job} lets runs start again."
    if wait.timeout_s == 0 or not active:
        return Outcome(lines=[line], result=result)
    wait.progress.start(f"cancel {job}", None, "s")
    wait_for(api, job, _has_no_pods, wait, what="its pods are gone")
    return Outcome(lines=[line], result=result | {"seconds": wait.elapsed_s})


def unsuspend(api: Api, snapshot: JobSnapshot) -> Outcome:
    """Let runs start again.

    Raises:
        ConfigError: the schedule is not suspended
    """
    job, schedule = snapshot.job, snapshot.file.schedule
    assert schedule is not None
    if not _is_suspended(snapshot):
        raise ConfigError(
            f"Job {job} is not suspended (it is {snapshot.state}), so there is nothing to resume. To run it now: "
            f"kubectl create job {job}-now --from=cronjob/{names.task(job)} -n {snapshot.namespace}"
        )
    _set_suspended(api, snapshot, False)
    due = schedule.next_after(datetime.now(UTC)).isoformat(timespec="minutes")
    line = f"Job {job} runs by its schedule again. Next run: {due}"
    late = f"; one that was due within the last {schedule.starting_deadline_s} s starts at once."
    return Outcome(lines=[line + late], result={"job": job, "state": "scheduled", "next_run": due})


def _is_suspended(snapshot: JobSnapshot) -> bool:
    return bool(((snapshot.driver or {}).get("spec") or {}).get("suspend"))


def _set_suspended(api: Api, snapshot: JobSnapshot, value: bool) -> None:
    driver = snapshot.driver
    if driver is None:
        raise ConfigError(
            f"Job {snapshot.job} has no CronJob {names.task(snapshot.job)} any more. esmm submit it again makes it."
        )
    resource = kinds.OLD_CRON_JOB if driver.get("apiVersion") == kinds.OLD_CRON_JOB.api_version else kinds.CRON_JOB
    api.patch(resource, names.task(snapshot.job), {"spec": {"suspend": value}})


def _has_no_pods(snapshot: JobSnapshot) -> bool:
    return all(has_ended(pod) for pod in snapshot.pods_of("task"))
