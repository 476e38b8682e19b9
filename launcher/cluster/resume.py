"""Go on with a job that has ended or was lost, from its last checkpoint."""

import base64
import time

from esmm_dist.errors import ConfigError
from esmm_dist.progress import Progress
from launcher.cluster import api as kinds
from launcher.cluster import names
from launcher.cluster.api import Api, ClusterError, Object
from launcher.cluster.cancel import publish
from launcher.cluster.certificates import Secrets
from launcher.cluster.objects.all import ApiVersions, render
from launcher.cluster.status import Seen, driver_resource, look
from launcher.cluster.wait import wait_for
from launcher.run_files.job import Done

GONE_S = 120.0
"""A driver's Job is gone within seconds; its pod has 5 s to end."""


def resume(api: Api, job: str, *, wait_s: float, progress: Progress) -> Done:
    """Make the driver anew, and scale the sets back to what they were.

    Raises:
        ConfigError: There is no such job, it runs, or it is done.
        RetryError: It does not train within the time.
    """
    seen = look(api, job)
    if not seen.ended:
        raise ConfigError(
            f"Job {job} has not ended (it is {seen.state}), so there is nothing to resume. esmm status {job} shows how "
            f"it is; esmm cancel {job} stops it."
        )
    if seen.state == "done":
        raise ConfigError(
            f"Job {job} is done, so there is nothing to resume. To train on, raise what ends it (epochs, steps) in the "
            f"job file: esmm delete {job}, and esmm submit it with the same run."
        )
    start = time.monotonic()
    workers = start_again(api, seen, progress=progress)
    if wait_s == 0:
        return Done(lines=[f"Job {job} is started again."], result={"job": job, "state": "pending"})
    progress.start(f"resume {job}", None, "s")
    wanted = seen.file.cluster.workers.min if seen.file.task == "train" else 0

    def reached(later: Seen) -> bool:
        if later.state == "failed":
            raise ConfigError(f"Job {job} has failed again: {_why(later)}. See esmm logs {job}.")
        if seen.file.task != "train":
            return later.state in ("running", "done")
        return later.state == "done" or (
            later.status is not None
            and later.state == "running"
            and later.status.ranks >= wanted
            and any(w.rank == 0 and w.step is not None for w in later.status.workers)  # before, its step is not known
        )

    seen = wait_for(api, job, reached, what="it goes on", wait_s=wait_s, progress=progress)
    seconds = round(time.monotonic() - start, 1)
    step = seen.status.step if seen.status else None
    ranks = seen.status.ranks if seen.status else None
    at = f" at step {step:,}, with {ranks} of {workers} workers" if step is not None else ""
    return Done(
        lines=[f"Job {job} goes on{at}, after {seconds:.1f} s."],
        result={"job": job, "state": seen.state, "step": step, "workers": ranks, "seconds": seconds},
    )


def start_again(api: Api, seen: Seen, *, progress: Progress) -> int:
    """Make the driver of a job that has ended anew, and give it its pods; returns the number of workers."""
    job, file = seen.job, seen.file
    resource, name = driver_resource(file)
    api.delete(resource, name)
    _wait_until_gone(api, seen, progress)
    if file.task == "train":
        # What a driver published at the end would tell the next one that all is done
        publish(api, job, None)
        api.patch(kinds.CONFIG_MAP, names.config(job), {"metadata": {"annotations": {names.WISH: None}}})
    versions = ApiVersions.of(*api.version())
    manifests = render(file, read_secrets(api, seen), api=versions, owner_uid=seen.uid)
    driver = next(each for each in manifests if _is(each, resource, name))
    workers = workers_to_start(seen)
    if resource is kinds.MPI_JOB:
        driver["spec"]["mpiReplicaSpecs"]["Worker"]["replicas"] = workers
    if names.server(job) in seen.sets:
        api.scale(kinds.STATEFUL_SET, names.server(job), file.cluster.servers.count)
    if names.worker(job) in seen.sets:
        api.scale(kinds.STATEFUL_SET, names.worker(job), workers)
    api.create(driver)
    return workers


def workers_to_start(seen: Seen) -> int:
    """Return as many workers as were wanted last, else as many as the job began with."""
    wished, config = (seen.status.wanted_workers if seen.status is not None else 0), seen.file.cluster.workers
    return wished if config.min <= wished <= config.max else config.first


def read_secrets(api: Api, seen: Seen) -> Secrets:
    """Return the secrets that a job was submitted with; its pods have no others.

    Raises:
        ClusterError: They are gone, or may not be read.
    """
    if seen.file.task != "train":
        return Secrets(files={})
    data = api.get(kinds.SECRET, names.config(seen.job)).get("data") or {}
    return Secrets(files={key: base64.b64decode(value).decode() for key, value in data.items()})


def _wait_until_gone(api: Api, seen: Seen, progress: Progress) -> None:
    resource, name = driver_resource(seen.file)
    give_up = time.monotonic() + GONE_S
    component: names.Component = "driver" if seen.file.task == "train" else "task"
    queries = [names.label_query(seen.job, component)]
    if resource is kinds.MPI_JOB:
        # They go with it, and the operator makes none while pods of another MPIJob have their names
        queries.append(names.label_query(seen.job, "worker"))
    while api.find(resource, name) is not None or any(api.all(kinds.POD, each) for each in queries):
        if time.monotonic() >= give_up:
            raise ClusterError(
                f"{resource.kind} {name} in namespace {seen.namespace} does not go after {GONE_S:g} s, so that no "
                f"other can be made. kubectl describe {resource.plural} {name} -n {seen.namespace} says what holds it."
            )
        progress.message(f"{resource.kind} {name} of before is about to go")
        time.sleep(1.0)


def _is(manifest: Object, resource: kinds.Resource, name: str) -> bool:
    return bool(manifest["kind"] == resource.kind and manifest["metadata"]["name"] == name)


def _why(seen: Seen) -> str:
    return seen.status.error if seen.status is not None and seen.status.error else "its driver has failed"
