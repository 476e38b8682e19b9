"""End a job so that it can be resumed."""

import json
import secrets
import time
from dataclasses import asdict, replace

from esmm_dist.errors import ConfigError
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.api.client import Api
from launcher.cluster.schedule_verbs import suspend
from launcher.cluster.serving_verbs import stop_serving
from launcher.cluster.snapshot import JobSnapshot, driver_resource, phase_of, read_snapshot
from launcher.cluster.status import troubles_of
from launcher.cluster.wait import wait_for
from launcher.command import Outcome
from launcher.run_files.run_status import RunStatus
from launcher.terminal.wait import Wait


def cancel(api: Api, job: str, wait: Wait, *, now: bool) -> Outcome:
    """Have the driver save and stop; with ``now``, or for a task of one pod, end the pods at once.

    Raises:
        ConfigError: There is no such job, it has ended, or no driver runs that could have the workers save.
        RetryError: It has not ended within the time.
    """
    snapshot = read_snapshot(api, job)
    if snapshot.file.schedule is not None:
        return suspend(api, snapshot, wait)
    if snapshot.file.task == "serve":
        return stop_serving(api, snapshot, wait)
    if snapshot.ended:
        raise ConfigError(
            f"Job {job} has ended ({snapshot.state}); there is nothing to cancel. esmm resume {job} goes on with it, "
            f"esmm delete {job} removes it."
        )
    if now or snapshot.file.task != "train":
        end_pods(api, snapshot)
        what = "its pods are gone"
    else:
        _check_driver_runs(snapshot)
        request_stop(api, job)
        what = "it has saved and stopped"
    if wait.timeout_s == 0:
        return Outcome(lines=[f"Job {job} is asked to stop."], result={"job": job, "state": "stopping"})
    wait.progress.start(f"cancel {job}", None, "s")
    snapshot = wait_for(api, job, _has_stopped, wait, what=what)
    step = snapshot.status.step if snapshot.status is not None else None
    result = {"job": job, "state": snapshot.state, "seconds": wait.elapsed_s, "step": step}
    line = f"Job {job} is {snapshot.state}, after {wait.elapsed_s:.1f} s{_checkpoint_text(snapshot)}."
    more = f" esmm resume {job} goes on." if snapshot.state == "stopped" else ""
    return Outcome(lines=[line + more], result=result)


def request_stop(api: Api, job: str) -> None:
    """Ask the driver to have the workers save and end; it looks every 2 s."""
    request = json.dumps({"do": "stop", "id": secrets.token_hex(8)})
    api.patch(kinds.CONFIG_MAP, names.config(job), {"metadata": {"annotations": {names.REQUEST: request}}})


def end_pods(api: Api, snapshot: JobSnapshot) -> None:
    """End driver, workers and servers at once, and say in the driver's place that the job is stopped."""
    # The driver first: it would take the others' end for a loss, and act
    api.delete(*driver_resource(snapshot.file))
    for name in snapshot.sets:
        api.scale(kinds.STATEFUL_SET, name, 0)
    status = snapshot.status
    if status is not None and not status.ended:
        stopped = replace(status, state="stopped", written_at=time.time(), ranks=0, workers=(), servers=())
        publish(api, snapshot.job, stopped)


def publish(api: Api, job: str, status: RunStatus | None) -> None:
    """Write a status in the driver's place; None: remove it."""
    text = None if status is None else json.dumps(asdict(status))
    api.patch(kinds.CONFIG_MAP, names.status(job), {"data": {names.STATUS_KEY: text}})


def _check_driver_runs(snapshot: JobSnapshot) -> None:
    if any(phase_of(pod) == "Running" for pod in snapshot.pods_of("driver")):
        return
    job, why = snapshot.job, "; ".join(troubles_of(snapshot)) or "its pod has not started yet"
    raise ConfigError(
        f"Job {job} has no running driver that could have its workers save ({why}). esmm cancel {job} --now ends it "
        "without saving; it then goes on from its last checkpoint, if there is one."
    )


def _has_stopped(snapshot: JobSnapshot) -> bool:
    if not snapshot.ended or _has_live_pods(snapshot, "worker") or _has_live_pods(snapshot, "server"):
        return False
    return snapshot.file.task == "train" or snapshot.state != "stopped" or not snapshot.pods_of("task")


def _has_live_pods(snapshot: JobSnapshot, component: str) -> bool:
    """Return whether pods of a kind still run; those of an MPIJob that have ended stay, for their logs."""
    return any(phase_of(pod) not in ("Succeeded", "Failed") for pod in snapshot.pods_of(component))


def _checkpoint_text(snapshot: JobSnapshot) -> str:
    if snapshot.status is None or snapshot.status.checkpoint_step is None:
        return ""
    return f", with a checkpoint of step {snapshot.status.checkpoint_step:,}"
