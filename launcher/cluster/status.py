"""The state of a job of a cluster: what it does, how many of its pods are ready, and what holds it up."""

from dataclasses import replace

from launcher.cluster.api.client import Api
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.log_lines import without_time
from launcher.cluster.schedule_runs import is_active, last_words, pods_of_run, schedule_status
from launcher.cluster.serving_state import (
    autoscaler_trouble,
    serving_status,
    version_of,
    wanted_pods,
    why_stuck,
)
from launcher.cluster.snapshot import JobSnapshot, condition, has_ended, phase_of, read_snapshot
from launcher.cluster.troubles import find_troubles, short_name
from launcher.run_files.job import JobStatus
from launcher.run_files.schedule_status import ScheduleStatus
from launcher.run_files.serving_status import ServingStatus
from launcher.run_files.status_lines import is_stale

WORDS_OF_A_FAILURE = 3
"""Number of last lines of a failed run that are shown where its pod does not tell them."""

LAST_LINES = 200
"""Lines of a pod that are looked through for the version that serves; it says so when one is taken."""

MOST_LOGS = 4
"""Pods whose lines are read for it: a status is to take a moment, whatever the number of pods."""

STALE_S = 45.0
"""A driver publishes every 10 s at least, and clocks of machines differ."""


def read_status(api: Api, job: str) -> JobStatus:
    """Return the state of a job.

    Raises:
        ConfigError: There is no such job.
        ClusterError: The cluster cannot be reached, or refuses.
    """
    return full_status(api, read_snapshot(api, job))


def full_status(api: Api, snapshot: JobSnapshot) -> JobStatus:
    """Return the state of a job, and from logs what the newest run of a schedule said, or which versions serve."""
    if snapshot.file.task == "serve":
        return _serving_status(api, snapshot)
    status = job_status(snapshot)
    if status.schedule is None:
        return status
    runs = list(status.schedule.runs)
    place = next((i for i, run in enumerate(runs) if run.ended), None)
    if place is None or runs[place].last_words:
        return status
    pods = [pod for pod in pods_of_run(snapshot.pods, runs[place].name) if has_ended(pod)]
    count = 1 if runs[place].state == "done" else WORDS_OF_A_FAILURE
    try:
        lines = api.logs(str(pods[-1]["metadata"]["name"]), tail=count) if pods else []
    except ClusterError:  # no right to read logs, or the pod has gone: the rest is worth showing
        lines = []
    runs[place] = replace(runs[place], last_words=last_words(map(without_time, lines)))
    return replace(status, schedule=replace(status.schedule, runs=runs))


def job_status(snapshot: JobSnapshot, now: float | None = None) -> JobStatus:
    """Return the state of a job as all backends tell it."""
    status = snapshot.status
    return JobStatus(
        job=snapshot.job,
        where=f"namespace {snapshot.namespace}",
        state=snapshot.state,
        run=status,
        stale=status is not None and not snapshot.ended and is_stale(status, now, stale_s=STALE_S),
        troubles=troubles_of(snapshot),
        pods={} if snapshot.ended else ready_pods(snapshot),
        schedule=_schedule(snapshot),
        serving=_serving(snapshot),
    )


def _serving(snapshot: JobSnapshot) -> ServingStatus | None:
    if snapshot.file.task != "serve":
        return None
    return serving_status(snapshot.file, snapshot.driver, snapshot.autoscaler)


def _serving_status(api: Api, snapshot: JobSnapshot) -> JobStatus:
    """Return the state of a job that serves, with the version that its first pods serve, or why they are not ready."""
    status = job_status(snapshot)
    assert status.serving is not None
    versions: list[str] = []
    troubles = list(status.troubles)
    for pod in [each for each in snapshot.pods_of("serving") if phase_of(each) == "Running"][:MOST_LOGS]:
        try:
            lines = [without_time(each) for each in api.logs(str(pod["metadata"]["name"]), tail=LAST_LINES)]
        except ClusterError:  # no right to read logs, or the pod has gone: the rest is worth showing
            continue
        if condition(pod, "Ready"):
            versions += version_of(lines)
        elif lines and not pod["metadata"].get("deletionTimestamp"):
            troubles.append(f"{short_name(snapshot.job, pod)} is not ready; it says: {last_words(lines[-1:])}")
    serving = replace(status.serving, versions=tuple(dict.fromkeys(versions)))
    return replace(status, troubles=troubles, serving=serving)


def _schedule(snapshot: JobSnapshot) -> ScheduleStatus | None:
    if snapshot.file.schedule is None:
        return None
    return schedule_status(snapshot.file, snapshot.driver, snapshot.runs, snapshot.pods)


def troubles_of(snapshot: JobSnapshot) -> list[str]:
    """Return why a job does not go on."""
    status = snapshot.status
    troubles = [f"the run failed: {status.error}"] if status is not None and status.error else []
    if snapshot.state in ("done", "stopped"):
        return troubles
    if snapshot.file.schedule is not None:
        return _schedule_troubles(snapshot)
    owners = [*snapshot.sets.values(), *([snapshot.driver] if snapshot.driver is not None else [])]
    pods = list(snapshot.pods)
    if snapshot.file.task == "serve":
        found = [why_stuck(snapshot.driver or {}), autoscaler_trouble(snapshot.autoscaler)]
        troubles += [each for each in found if each]
    if snapshot.ended:
        owners = [each for each in owners if each["kind"] != "StatefulSet"]
        pods = snapshot.pods_of("driver") + snapshot.pods_of("task")
    troubles += find_troubles(snapshot.job, pods=pods, events=snapshot.events, owners=owners)
    if snapshot.events_refusal and not snapshot.ended:
        troubles.append(f"why pods wait may be unknown here: {snapshot.events_refusal}")
    return troubles


def _schedule_troubles(snapshot: JobSnapshot) -> list[str]:
    """Return what holds up the run in progress; how earlier ones ended is in the list of runs."""
    active = [{"kind": "Job", **each} for each in snapshot.runs if is_active(each)]
    pods = [pod for each in active for pod in pods_of_run(snapshot.pods, str(each["metadata"]["name"]))]
    return find_troubles(snapshot.job, pods=pods, events=snapshot.events, owners=active)


def ready_pods(snapshot: JobSnapshot) -> dict[str, str]:
    """Return how many pods of each kind are ready, of those that should be."""
    found: dict[str, str] = {}
    for component in ("server", "worker", "driver", "task", "serving"):
        pods = snapshot.pods_of(component)
        if snapshot.file.schedule is not None:  # pods of runs that have ended stay for their logs
            pods = [pod for pod in pods if not has_ended(pod)]
        if component == "serving":  # those that are about to end still answer what comes
            pods = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        wanted = _wanted_pods(snapshot, component)
        if wanted or pods:
            ready = sum(1 for pod in pods if condition(pod, "Ready"))
            found[component] = f"{ready} of {wanted} ready"
    return found


def state_line(snapshot: JobSnapshot) -> str:
    """Return the state on one line: ``running, worker 2 of 3 ready, driver 1 of 1 ready, 2 ranks``."""
    parts = [snapshot.state]
    if not snapshot.ended:
        parts += [f"{kind} {text}" for kind, text in ready_pods(snapshot).items()]
        if snapshot.status is not None:
            parts.append(f"{snapshot.status.ranks} ranks")
    return ", ".join(parts)


def _wanted_pods(snapshot: JobSnapshot, component: str) -> int:
    if snapshot.file.schedule is not None:
        return sum(1 for each in snapshot.runs if is_active(each)) if component == "task" else 0
    if component == "serving":
        serves = snapshot.file.task == "serve" and snapshot.driver is not None
        return wanted_pods(snapshot.driver or {}) if serves else 0
    pods, whole = snapshot.pods_of(component), snapshot.sets.get(f"{snapshot.job}-{component}")
    if whole is not None:
        return int((whole.get("spec") or {}).get("replicas") or 0)
    if component == "worker":  # an MPIJob makes them
        replicas = ((snapshot.driver or {}).get("spec") or {}).get("mpiReplicaSpecs") or {}
        return int((replicas.get("Worker") or {}).get("replicas", len(pods)))
    return min(1, len(pods))
