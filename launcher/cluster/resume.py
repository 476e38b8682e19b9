"""Go on with a job that has ended or was lost, from its last checkpoint."""

from dataclasses import replace

from esmm_dist.errors import ConfigError
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.api.client import Api
from launcher.cluster.cancel import publish
from launcher.cluster.objects.all import ApiVersions, driver_manifest
from launcher.cluster.objects.manifest import owned
from launcher.cluster.schedule_verbs import unsuspend
from launcher.cluster.serving_verbs import start_serving
from launcher.cluster.snapshot import JobSnapshot, driver_resource, read_snapshot
from launcher.cluster.wait import POLL_S, wait_for
from launcher.command import Outcome
from launcher.terminal.wait import Wait

GONE_S = 120.0
"""A driver's Job is gone within seconds; its pod has 5 s to end."""


def resume(api: Api, job: str, wait: Wait) -> Outcome:
    """Make the driver anew, and scale the sets back to what they were.

    Raises:
        ConfigError: There is no such job, it runs, or it is done.
        RetryError: It does not train within the time.
    """
    before = read_snapshot(api, job)
    if before.file.schedule is not None:
        return unsuspend(api, before)
    if before.file.task == "serve":
        return start_serving(api, before, wait)
    _check_resumable(before)
    workers = start_again(api, before, wait)
    if wait.timeout_s == 0:
        return Outcome(lines=[f"Job {job} is started again."], result={"job": job, "state": "pending"})
    wait.progress.start(f"resume {job}", None, "s")
    now = wait_for(api, job, _goes_on, wait, what="it goes on")
    step, ranks = (now.status.step, now.status.ranks) if now.status is not None else (None, None)
    at = f" at step {step:,}, with {ranks} of {workers} workers" if step is not None else ""
    return Outcome(
        lines=[f"Job {job} goes on{at}, after {wait.elapsed_s:.1f} s."],
        result={"job": job, "state": now.state, "step": step, "workers": ranks, "seconds": wait.elapsed_s},
    )


def start_again(api: Api, snapshot: JobSnapshot, wait: Wait) -> int:
    """Make the driver of a job that has ended anew, and give it its pods; return the number of workers."""
    job, file = snapshot.job, snapshot.file
    resource, name = driver_resource(file)
    if file.task == "train":
        api.get(kinds.SECRET, names.config(job))  # without it no pod would start
    api.delete(resource, name)
    _wait_until_gone(api, snapshot, wait)
    if file.task == "train":
        # What a driver published at the end would tell the next one that all is done
        publish(api, job, None)
        api.patch(kinds.CONFIG_MAP, names.config(job), {"metadata": {"annotations": {names.REQUEST: None}}})
    versions = ApiVersions.of(*api.version())
    [driver] = owned([driver_manifest(file, api=versions)], job, snapshot.uid)
    workers = workers_to_start(snapshot)
    if resource is kinds.MPI_JOB:
        driver["spec"]["mpiReplicaSpecs"]["Worker"]["replicas"] = workers
    if names.server(job) in snapshot.sets:
        api.scale(kinds.STATEFUL_SET, names.server(job), file.cluster.servers.count)
    if names.worker(job) in snapshot.sets:
        api.scale(kinds.STATEFUL_SET, names.worker(job), workers)
    api.create(driver)
    return workers


def workers_to_start(snapshot: JobSnapshot) -> int:
    """Return as many workers as were wanted last, else as many as the job began with."""
    wanted = snapshot.status.wanted_workers if snapshot.status is not None else 0
    bounds = snapshot.file.cluster.workers
    return wanted if bounds.min <= wanted <= bounds.max else bounds.first


def _check_resumable(snapshot: JobSnapshot) -> None:
    job, state = snapshot.job, snapshot.state
    if not snapshot.ended:
        raise ConfigError(
            f"Job {job} has not ended (it is {state}), so there is nothing to resume. esmm status {job} shows its "
            f"state; esmm cancel {job} stops it."
        )
    if state == "done":
        raise ConfigError(
            f"Job {job} is done, so there is nothing to resume. To train on, raise what ends it (epochs, steps) in the "
            f"job file: esmm delete {job}, and esmm submit it with the same run."
        )


def _goes_on(snapshot: JobSnapshot) -> bool:
    """Return whether a job that was started again has come as far as it can be told.

    Raises:
        ConfigError: It has failed again.
    """
    job, state, status = snapshot.job, snapshot.state, snapshot.status
    if state == "failed":
        why = (status.error if status is not None else "") or "its driver has failed"
        raise ConfigError(f"Job {job} has failed again: {why}. See esmm logs {job}.")
    if snapshot.file.task != "train":
        return state in ("running", "done")
    if status is None or state != "running":
        return state == "done"
    # Before rank 0 tells its step, the run's step is not known
    known = any(worker.rank == 0 and worker.step is not None for worker in status.workers)
    return known and status.ranks >= snapshot.file.cluster.workers.min


def _wait_until_gone(api: Api, snapshot: JobSnapshot, wait: Wait) -> None:
    resource, name = driver_resource(snapshot.file)
    component: names.Component = "driver" if snapshot.file.task == "train" else "task"
    queries = [names.label_query(snapshot.job, component)]
    if resource is kinds.MPI_JOB:
        # They go with it, and the operator makes none while pods of another MPIJob have their names
        queries.append(names.label_query(snapshot.job, "worker"))

    def gone() -> bool:
        return api.find(resource, name) is None and not any(api.all(kinds.POD, each) for each in queries)

    where = f"{resource.kind} {name} in namespace {snapshot.namespace}"
    replace(wait, timeout_s=GONE_S).until(
        gone,
        bool,
        what=f"the old {where} is gone",
        describe=lambda _: f"the old {resource.kind} {name} is about to go",
        remedy=f"kubectl describe {resource.plural} {name} -n {snapshot.namespace} says what holds it.",
        every_s=POLL_S,
    )
