"""The verbs of a job that serves: stop all pods, start them again, and choose their number."""

from typing import Any

from esmm_dist.errors import ConfigError
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.api.client import Api
from launcher.cluster.objects.all import ApiVersions
from launcher.cluster.objects.config import config_map
from launcher.cluster.objects.manifest import owned
from launcher.cluster.objects.serving import autoscaler
from launcher.cluster.serving_state import is_rolled_out, wanted_pods
from launcher.cluster.snapshot import JobSnapshot, read_snapshot
from launcher.cluster.update import make, remove_autoscaler
from launcher.cluster.wait import wait_for
from launcher.command import Outcome
from launcher.terminal.wait import Wait


def stop_serving(api: Api, snapshot: JobSnapshot, wait: Wait) -> Outcome:
    """Take the job's address out of service, and end its pods; each answers what it has begun.

    Raises:
        ConfigError: it is stopped already
        RetryError: pods are left after the time
    """
    job = snapshot.job
    if snapshot.state == "stopped":
        raise ConfigError(
            f"Job {job} is stopped already. esmm resume {job} starts its pods, esmm delete {job} removes it."
        )
    api.scale(kinds.DEPLOYMENT, names.serving(job), 0)
    if wait.timeout_s == 0:
        return Outcome(lines=[f"Job {job} is asked to stop."], result={"job": job, "state": "stopping"})
    wait.progress.start(f"cancel {job}", None, "s")
    wait_for(api, job, lambda now: not now.pods_of("serving"), wait, what="its pods are gone")
    line = f"Job {job} is stopped, after {wait.elapsed_s:.1f} s. esmm resume {job} starts its pods again."
    return Outcome(lines=[line], result={"job": job, "state": "stopped", "seconds": wait.elapsed_s})


def start_serving(api: Api, snapshot: JobSnapshot, wait: Wait) -> Outcome:
    """Start the pods of a job that was stopped.

    Raises:
        ConfigError: it is not stopped, or its Deployment is gone
        RetryError: it does not answer within the time
    """
    job = snapshot.job
    if snapshot.state != "stopped":
        raise ConfigError(
            f"Job {job} is not stopped (it is {snapshot.state}), so there is nothing to resume. After a change of its "
            "job file: esmm submit it again."
        )
    _deployment(snapshot)
    api.scale(kinds.DEPLOYMENT, names.serving(job), snapshot.file.cluster.serve.min)
    return _rolled_out(api, job, wait, f"Job {job} answers again", {})


def scale_replicas(api: Api, job: str, least: int, most: int, wait: Wait) -> Outcome:
    """Choose the number of pods that answer, or the bounds of the autoscaler; wait until they are ready.

    Args:
        api: the cluster
        job: the job's name
        least: number of pods
        most: number up to which the autoscaler goes; as ``least``: there is none
        wait: how long to wait

    Raises:
        ConfigError: there is no such job, it does not serve, is stopped, or there cannot be so many pods
        RetryError: the pods are not ready within the time
    """
    snapshot = read_snapshot(api, job)
    if snapshot.file.task != "serve":
        other = "--workers or --servers" if snapshot.file.task == "train" else "cluster.pod.cpu in its job file"
        raise ConfigError(
            f"Job {job} is a {snapshot.file.task} job, and --replicas is for task: serve. Its size is that of {other}."
        )
    file = snapshot.file.with_replicas(least, most)
    now = wanted_pods(_deployment(snapshot))
    if now == 0:
        raise ConfigError(f"Job {job} is stopped; there is nothing to scale. esmm resume {job} starts its pods.")
    if most > least:
        version = ApiVersions.of(*api.version()).autoscaler
        [wanted] = owned([autoscaler(file, version)], job, snapshot.uid)
        make(api, wanted)
    else:
        remove_autoscaler(api, job)
    api.scale(kinds.DEPLOYMENT, names.serving(job), min(max(now, least), most))
    # Last, as it is what says how many there are: a change that was interrupted can be made again
    api.patch(kinds.CONFIG_MAP, names.config(job), {"data": config_map(file)["data"]})
    count = f"{least} pods" if least == most else f"{least} to {most} pods"
    return _rolled_out(api, job, wait, f"Job {job} answers with {count} (before: {now})", {"min": least, "max": most})


def _rolled_out(api: Api, job: str, wait: Wait, line: str, result: dict[str, Any]) -> Outcome:
    """Wait until all pods are ready."""
    if wait.timeout_s == 0:
        return Outcome(lines=[f"{line.replace(' answers', ' will answer')}."], result={"job": job, **result})
    wait.progress.start(job, None, "s")
    wait_for(api, job, _answers, wait, what="all pods are ready")
    return Outcome(
        lines=[f"{line}, after {wait.elapsed_s:.1f} s."], result={"job": job, **result, "seconds": wait.elapsed_s}
    )


def _answers(snapshot: JobSnapshot) -> bool:
    deployment = snapshot.driver
    return deployment is not None and wanted_pods(deployment) > 0 and is_rolled_out(deployment)


def _deployment(snapshot: JobSnapshot) -> kinds.Object:
    if snapshot.driver is None:
        raise ConfigError(
            f"Job {snapshot.job} has no Deployment {names.serving(snapshot.job)} any more. esmm submit it again makes "
            "it."
        )
    return snapshot.driver
