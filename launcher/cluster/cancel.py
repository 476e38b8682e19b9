"""End a job so that it can be resumed."""

import json
import secrets
import time
from dataclasses import asdict, replace

from esmm_dist.errors import ConfigError
from esmm_dist.progress import Progress
from launcher.cluster import api as kinds
from launcher.cluster import names
from launcher.cluster.api import Api
from launcher.cluster.status import Seen, driver_resource, look, troubles_of
from launcher.cluster.wait import wait_for
from launcher.run_files.job import Done
from launcher.run_files.run_status import RunStatus


def cancel(api: Api, job: str, *, now: bool, wait_s: float, progress: Progress) -> Done:
    """Have the driver save and stop; with ``now``, or for a task of one pod, take the pods away at once.

    Raises:
        ConfigError: There is no such job, it has ended, or no driver runs that could obey.
        RetryError: It has not ended within the time.
    """
    seen = look(api, job)
    if seen.ended:
        raise ConfigError(
            f"Job {job} has ended ({seen.state}); there is nothing to cancel. esmm resume {job} goes on with it, esmm "
            f"delete {job} removes it."
        )
    start = time.monotonic()
    if now or seen.file.task != "train":
        take_pods_away(api, seen)
        what = "its pods are gone"
    else:
        _check_driver(seen)
        wish_stop(api, job)
        what = "it has saved and stopped"
    if wait_s == 0:
        return Done(lines=[f"Job {job} is asked to stop."], result={"job": job, "state": "stopping"})

    def reached(later: Seen) -> bool:
        return later.ended and not _alive(later, "worker") and not _alive(later, "server") and not _task_pods(later)

    progress.start(f"cancel {job}", None, "s")
    seen = wait_for(api, job, reached, what=what, wait_s=wait_s, progress=progress)
    seconds = round(time.monotonic() - start, 1)
    line = f"Job {job} is {seen.state}, after {seconds:.1f} s{_where(seen)}."
    more = f" esmm resume {job} goes on." if seen.state == "stopped" else ""
    result = {"job": job, "state": seen.state, "seconds": seconds, "step": seen.status.step if seen.status else None}
    return Done(lines=[line + more], result=result)


def wish_stop(api: Api, job: str) -> None:
    """Ask the driver to have the workers save and end; it looks every 2 s."""
    wish = json.dumps({"do": "stop", "id": secrets.token_hex(8)})
    api.patch(kinds.CONFIG_MAP, names.config(job), {"metadata": {"annotations": {names.WISH: wish}}})


def take_pods_away(api: Api, seen: Seen) -> None:
    """End driver, workers and servers at once, and say in the driver's place that the job is stopped."""
    # The driver first: it would take the others' end for a loss, and act
    api.delete(*driver_resource(seen.file))
    for name in seen.sets:
        api.scale(kinds.STATEFUL_SET, name, 0)
    if seen.status is not None and not seen.status.ended:
        stopped = replace(seen.status, state="stopped", written_at=time.time(), ranks=0, workers=(), servers=())
        publish(api, seen.job, stopped)


def publish(api: Api, job: str, status: RunStatus | None) -> None:
    """Write a status in the driver's place; None: remove it."""
    text = None if status is None else json.dumps(asdict(status))
    api.patch(kinds.CONFIG_MAP, names.status(job), {"data": {names.STATUS_KEY: text}})


def _check_driver(seen: Seen) -> None:
    pods = seen.pods_of("driver")
    if any((pod.get("status") or {}).get("phase") == "Running" for pod in pods):
        return
    why = "; ".join(troubles_of(seen)) or "its pod has not started yet"
    raise ConfigError(
        f"No driver of job {seen.job} runs that could have its workers save ({why}). esmm cancel {seen.job} --now ends "
        "it without; it then goes on from its last checkpoint, if there is one."
    )


def _alive(seen: Seen, component: str) -> bool:
    """Return whether pods of a kind still do something; those of an MPIJob that have ended stay, for their logs."""
    ended = ("Succeeded", "Failed")
    return any((pod.get("status") or {}).get("phase") not in ended for pod in seen.pods_of(component))


def _task_pods(seen: Seen) -> bool:
    return seen.file.task != "train" and seen.state == "stopped" and bool(seen.pods_of("task"))


def _where(seen: Seen) -> str:
    if seen.status is None or seen.status.checkpoint_step is None:
        return ""
    return f", with a checkpoint of step {seen.status.checkpoint_step:,}"
