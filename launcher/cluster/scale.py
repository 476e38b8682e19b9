"""Change the number of a job's workers while it trains, or of its servers between a checkpoint and a new start."""

import time
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.progress import Progress
from launcher.cluster import api as kinds
from launcher.cluster import names
from launcher.cluster.api import Api, resource_of
from launcher.cluster.cancel import cancel
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.all import render
from launcher.cluster.resume import read_secrets, resume
from launcher.cluster.status import Seen, look
from launcher.cluster.wait import wait_for
from launcher.run_files.job import Done
from launcher.run_files.scale import trains


def scale_workers(api: Api, job: str, count: int, *, wait_s: float, progress: Progress) -> Done:
    """Change the number of workers, and wait until so many train.

    Raises:
        ConfigError: There is no such job, it does not train, or the number is out of its bounds.
        RetryError: So many do not train within the time.
    """
    seen = look(api, job)
    _check_trains(seen)
    config = seen.file.cluster.workers
    if not config.min <= count <= config.max:
        raise ConfigError(
            f"workers is {count}, and job {job} was submitted with cluster.workers min {config.min}, max {config.max}. "
            "Set a number between them."
        )
    if seen.ended:
        remedy = "" if seen.state == "done" else f" esmm resume {job} goes on with it."
        raise ConfigError(f"Job {job} has ended ({seen.state}); there is nothing to scale.{remedy}")
    before = seen.status.ranks if seen.status is not None else 0
    start = time.monotonic()
    # By the driver's clock, which need not be this machine's
    seen_at = seen.status.written_at if seen.status is not None else 0.0
    if seen.file.cluster.backend == "mpijob":
        change = {"spec": {"mpiReplicaSpecs": {"Worker": {"replicas": count}}}}
        api.patch(kinds.MPI_JOB, names.config(job), change)
    else:
        api.scale(kinds.STATEFUL_SET, names.worker(job), count)
    if wait_s == 0:
        return Done(
            lines=[f"Asked for {count} workers (there were {before})."],
            result={"job": job, "workers": count, "before": before, "seconds": 0.0},
        )

    def reached(later: Seen) -> bool:
        if later.ended:
            raise ConfigError(f"Job {job} has ended meanwhile ({later.state}); there is nothing to scale.")
        return later.status is not None and later.status.written_at > seen_at and trains(later.status, count, seen_at)

    progress.start(f"scale {job}", None, "s")
    wait_for(api, job, reached, what=f"{count} workers train", wait_s=wait_s, progress=progress)
    seconds = round(time.monotonic() - start, 1)
    return Done(
        lines=[f"{count} workers train (before: {before}), after {seconds:.1f} s."],
        result={"job": job, "workers": count, "before": before, "seconds": seconds},
    )


def scale_servers(api: Api, job: str, count: int, *, wait_s: float, progress: Progress) -> Done:
    """Save, stop, change the number of servers, and go on; the rows find their new places in the checkpoint.

    Raises:
        ConfigError: There is no such job, it does not train, or there cannot be so many servers.
        RetryError: It does not train again within the time.
    """
    seen = look(api, job)
    _check_trains(seen)
    changed, before = seen.file.with_servers(count), seen.file.cluster.servers.count
    if count == before:
        raise ConfigError(f"Job {job} has {count} servers already. Set another number.")
    if seen.state == "done":
        raise ConfigError(f"Job {job} is done; there is nothing to scale.")
    start = time.monotonic()
    resumes = not seen.ended
    if resumes:
        progress.message(f"job {job} saves and stops, to go on with {count} servers")
        done = cancel(api, job, now=False, wait_s=wait_s or 600.0, progress=progress)
        if done.result["state"] != "stopped":
            raise ConfigError(f"Job {job} has ended meanwhile ({done.result['state']}); there is nothing to scale.")
    change_objects(api, look(api, job), changed)
    result: dict[str, Any] = {"job": job, "servers": count, "before": before}
    if not resumes:
        line = f"Job {job} will have {count} servers (before: {before}). esmm resume {job} goes on with it."
        return Done(lines=[line], result=result | {"seconds": round(time.monotonic() - start, 1)})
    resume(api, job, wait_s=wait_s, progress=progress)
    seconds = round(time.monotonic() - start, 1)
    return Done(
        lines=[f"Job {job} goes on with {count} servers (before: {before}), after {seconds:.1f} s."],
        result=result | {"seconds": seconds},
    )


def change_objects(api: Api, seen: Seen, file: JobFile) -> None:
    """Make the objects of a job that has ended those of a changed job file. Its sets stay at 0 pods."""
    for manifest in render(file, read_secrets(api, seen), owner_uid=seen.uid):
        name = manifest["metadata"]["name"]
        if manifest["kind"] == "ConfigMap" and name == names.config(seen.job):
            # Last, as it is what says how many there are: a change that was interrupted can be made again
            config = {"data": manifest["data"]}
        elif manifest["kind"] == "StatefulSet":
            api.patch(resource_of(manifest), name, {"spec": {"template": manifest["spec"]["template"]}})
    api.patch(kinds.CONFIG_MAP, names.config(seen.job), config)


def _check_trains(seen: Seen) -> None:
    if seen.file.task != "train":
        raise ConfigError(
            f"Job {seen.job} is a {seen.file.task}, which runs in one pod; there is nothing to scale. More cores are "
            "cluster.pod.cpu in its job file."
        )
