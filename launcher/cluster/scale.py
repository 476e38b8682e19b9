"""Change the number of a job's workers while it trains, or of its servers between a checkpoint and a new start."""

from dataclasses import replace
from typing import Any

from esmm_dist.errors import ConfigError
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.api.client import Api
from launcher.cluster.api.kinds import resource_of
from launcher.cluster.cancel import cancel
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.all import render
from launcher.cluster.resume import resume
from launcher.cluster.snapshot import JobSnapshot, read_snapshot
from launcher.cluster.wait import wait_for
from launcher.command import Outcome
from launcher.run_files.scale_request import scale_outcome, trains
from launcher.terminal.wait import Wait

SAVE_S = 600.0
"""Seconds that a job has to save and stop where the user does not wait."""


def scale_workers(api: Api, job: str, count: int, wait: Wait) -> Outcome:
    """Change the number of workers, and wait until so many train.

    Raises:
        ConfigError: There is no such job, it does not train, or the number is out of its bounds.
        RetryError: So many do not train within the time.
    """
    snapshot = read_snapshot(api, job)
    check_scale_workers(snapshot, count)
    if snapshot.file.cluster.backend == "mpijob":
        change = {"spec": {"mpiReplicaSpecs": {"Worker": {"replicas": count}}}}
        api.patch(kinds.MPI_JOB, names.config(job), change)
    else:
        api.scale(kinds.STATEFUL_SET, names.worker(job), count)
    before = snapshot.status.ranks if snapshot.status is not None else 0
    seconds = None
    if wait.timeout_s > 0:
        # By the driver's clock, which need not be this machine's
        since = snapshot.status.written_at if snapshot.status is not None else 0.0

        def reached(later: JobSnapshot) -> bool:
            if later.ended:
                raise ended_meanwhile(job, later.state)
            return later.status is not None and trains(later.status, count, since=since)

        wait.progress.start(f"scale {job}", None, "s")
        wait_for(api, job, reached, wait, what=f"{count} workers train")
        seconds = wait.elapsed_s
    outcome = scale_outcome(count, before=before, seconds=seconds)
    return replace(outcome, result={"job": job, **outcome.result})


def scale_servers(api: Api, job: str, count: int, wait: Wait) -> Outcome:
    """Save, stop, change the number of servers, and go on; the rows find their new places in the checkpoint.

    Raises:
        ConfigError: There is no such job, it does not train, or there cannot be so many servers.
        RetryError: It does not train again within the time.
    """
    snapshot = read_snapshot(api, job)
    changed = check_scale_servers(snapshot, count)
    before = snapshot.file.cluster.servers.count
    result: dict[str, Any] = {"job": job, "servers": count, "before": before}
    if snapshot.ended:
        change_objects(api, snapshot, changed)
        line = f"Job {job} will have {count} servers (before: {before}). esmm resume {job} goes on with it."
        return Outcome(lines=[line], result=result | {"seconds": wait.elapsed_s})
    wait.progress.message(f"job {job} saves and stops, to go on with {count} servers")
    stopped = cancel(api, job, replace(wait, timeout_s=wait.timeout_s or SAVE_S), now=False)
    if stopped.result["state"] != "stopped":
        raise ended_meanwhile(job, stopped.result["state"])
    change_objects(api, read_snapshot(api, job), changed)
    resume(api, job, wait)
    line = f"Job {job} goes on with {count} servers (before: {before}), after {wait.elapsed_s:.1f} s."
    return Outcome(lines=[line], result=result | {"seconds": wait.elapsed_s})


def check_scale_workers(snapshot: JobSnapshot, count: int) -> None:
    """Check that a job can have so many workers.

    Raises:
        ConfigError: It does not train, has ended, or the number is out of its bounds.
    """
    _check_trains(snapshot)
    job, bounds = snapshot.job, snapshot.file.cluster.workers
    if not bounds.min <= count <= bounds.max:
        raise ConfigError(
            f"workers is {count}, but job {job} was submitted with cluster.workers min {bounds.min}, max {bounds.max}. "
            "Set a number between them."
        )
    if snapshot.ended:
        remedy = "" if snapshot.state == "done" else f" esmm resume {job} goes on with it."
        raise ConfigError(f"Job {job} has ended ({snapshot.state}); there is nothing to scale.{remedy}")


def check_scale_servers(snapshot: JobSnapshot, count: int) -> JobFile:
    """Return the job file with another number of servers.

    Raises:
        ConfigError: The job does not train, is done, or cannot have so many servers.
    """
    _check_trains(snapshot)
    changed = snapshot.file.with_servers(count)
    if count == snapshot.file.cluster.servers.count:
        raise ConfigError(f"Job {snapshot.job} has {count} servers already. Set another number.")
    if snapshot.state == "done":
        raise ConfigError(f"Job {snapshot.job} is done; there is nothing to scale.")
    return changed


def change_objects(api: Api, snapshot: JobSnapshot, file: JobFile) -> None:
    """Make the objects of a job that has ended those of a changed job file. Its sets stay at 0 pods."""
    for manifest in render(file, None):
        name = manifest["metadata"]["name"]
        if manifest["kind"] == "ConfigMap" and name == names.config(snapshot.job):
            # Last, as it is what says how many there are: a change that was interrupted can be made again
            config = {"data": manifest["data"]}
        elif manifest["kind"] == "StatefulSet":
            api.patch(resource_of(manifest), name, {"spec": {"template": manifest["spec"]["template"]}})
    api.patch(kinds.CONFIG_MAP, names.config(snapshot.job), config)


def ended_meanwhile(job: str, state: str) -> ConfigError:
    """Return the error of a job that ended while it was being scaled."""
    return ConfigError(f"Job {job} has ended meanwhile ({state}); there is nothing to scale.")


def _check_trains(snapshot: JobSnapshot) -> None:
    if snapshot.file.task == "serve":
        raise ConfigError(
            f"Job {snapshot.job} is a serve job, which has neither workers nor servers of a training. esmm scale "
            f"{snapshot.job} --replicas 4 sets the number of its pods; with --max-replicas 8 an autoscaler chooses it."
        )
    if snapshot.file.task != "train":
        raise ConfigError(
            f"Job {snapshot.job} is a {snapshot.file.task} job, which runs in one pod; there is nothing to scale. To "
            "give it more cores, set cluster.pod.cpu in its job file."
        )
