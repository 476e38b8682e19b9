"""Make a job in a cluster, and follow it to its end."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from esmm_dist.errors import ConfigError, EsmmError
from esmm_dist.progress import Progress
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.api.client import Api
from launcher.cluster.api.connect import connect
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.api.kinds import Object, Resource, resource_of
from launcher.cluster.certificates import make_secrets
from launcher.cluster.checks import check_name_is_free, check_needed, check_objects, taken
from launcher.cluster.job_file import JobFile, read_job
from launcher.cluster.logs import LogReader, LogsOfPods
from launcher.cluster.objects.all import ApiVersions, render
from launcher.cluster.objects.manifest import owned
from launcher.cluster.snapshot import JobSnapshot, read_snapshot
from launcher.cluster.status import state_line, troubles_of
from launcher.cluster.update import job_before, replicas_now, update

FOLLOW_S = 2.0
FOLLOWED = {"train": "driver", "serve": "serving"}
"""Pods whose lines are shown, by task; of other tasks it is the one pod."""

LASTING_LOOKS = 3
"""A trouble that goes by itself within some seconds (a claim that is not bound yet) is none."""


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """A job that was made."""

    job: str
    namespace: str
    objects: int
    updated: bool = False
    """Whether it was there already, with a schedule or serving, and has become what the new file says."""


def read(path: str, namespace: str | None) -> JobFile:
    """Read a job file; its namespace may be overridden.

    Raises:
        ConfigError: The file is wrong; the message begins with FILE:LINE.
    """
    job = read_job(Path(path))
    return job.in_namespace(namespace) if namespace is not None else job


def dry_run(job: JobFile) -> list[Object]:
    """Return the manifests for ``kubectl apply -f -``.

    A cluster, if there is one, is asked for its version, and for a job that serves already: that keeps its token.
    """
    api: Api | None = None
    before: JobSnapshot | None = None
    versions = ApiVersions()
    try:
        api = connect(job.namespace)
        versions = ApiVersions.of(*api.version())
        before = job_before(api, job) if job.task == "serve" else None
    except ClusterError:  # none is needed to look at manifests
        pass
    job = job.in_namespace(job.namespace or (api.namespace if api is not None else "default"))
    keeps_token = before is not None and before.file.cluster.serve.token
    return render(job, None if keeps_token else make_secrets(job), api=versions, replicas=replicas_now(before))


def submit(api: Api, job: JobFile, progress: Progress) -> Submitted:
    """Check, then make all objects; if one is refused, those before it are removed again.

    A job with a schedule, or one that serves, that is there already becomes what this one says.

    Raises:
        ConfigError: The name is taken, or something that the job needs is not there.
        ClusterError: The cluster refuses.
    """
    job = job.in_namespace(api.namespace)
    before = job_before(api, job)
    if before is None:
        check_name_is_free(api, job.name)
    check_needed(api, job, progress)
    versions = ApiVersions.of(*api.version())
    drafts = render(job, make_secrets(job), api=versions, replicas=replicas_now(before))
    progress.start(f"check {job.name} in namespace {job.namespace}", len(drafts), "objects")
    check_objects(api, drafts, progress, exists=before is not None)
    if before is not None:
        progress.start(f"update {job.name} in namespace {job.namespace}", len(drafts), "objects")
        update(api, before, drafts, progress)
        progress.finish()
        return Submitted(job=job.name, namespace=api.namespace, objects=len(drafts), updated=True)
    progress.start(f"submit {job.name} to namespace {job.namespace}", len(drafts), "objects")
    made: list[tuple[Resource, str]] = []
    try:
        config = _create(api, drafts[0], made, progress)
        uid = str(config["metadata"]["uid"])
        for manifest in owned(drafts[1:], job.name, uid):
            _create(api, manifest, made, progress)
    except (EsmmError, KeyboardInterrupt):
        progress.message("what was made is removed again")
        for resource, name in reversed(made):
            api.delete(resource, name)
        raise
    progress.finish()
    return Submitted(job=job.name, namespace=api.namespace, objects=len(drafts))


def follow(
    api: Api,
    job: str,
    show: Callable[[str], None],
    *,
    wait_s: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> JobSnapshot:
    """Show the job's state, troubles and the driver's (or task's) lines as they come, until it has ended, or answers.

    Args:
        api: the cluster
        job: the job's name
        show: shows one line
        wait_s: seconds after which it gives up; the job goes on. None: never
        sleep: waits so many seconds

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
        ConfigError: Somebody has deleted the job.
    """
    start, reader, side_by_side, said = time.monotonic(), LogReader(api), LogsOfPods(api), ""
    lasting: dict[str, int] = {}
    while True:
        snapshot = read_snapshot(api, job)
        pods = snapshot.pods_of(FOLLOWED.get(snapshot.file.task, "task"))
        for line in side_by_side.read(pods) if snapshot.file.task == "serve" else reader.read(pods):
            show(line)
        troubles = [] if snapshot.ended else troubles_of(snapshot)
        lasting = {each: lasting.get(each, 0) + 1 for each in troubles}
        text = "; ".join([state_line(snapshot), *(each for each in troubles if lasting[each] >= LASTING_LOOKS)])
        if text != said:
            said = text
            show(f"[{job}] {text}")
        if snapshot.ended or snapshot.rolled_out is not None:
            for each in troubles_of(snapshot):
                show(f"[{job}] {each}")
            return snapshot
        if wait_s is not None and time.monotonic() >= start + wait_s:
            raise ConfigError(f"Job {job} has not ended within {wait_s:g} s. It goes on: esmm status {job}.")
        sleep(FOLLOW_S)


def _create(api: Api, manifest: Object, made: list[tuple[Resource, str]], progress: Progress) -> Object:
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    try:
        found = api.create(manifest)
    except ClusterError as e:
        if e.reason != "AlreadyExists":
            raise
        if kind == "PersistentVolumeClaim":  # kept by a job before; its size is what it is
            progress.message(f"claim {name} is there already, and is used as it is")
            return api.get(kinds.CLAIM, name)
        if kind == "ConfigMap" and name == names.config(manifest["metadata"]["labels"][names.INSTANCE]):
            raise taken(name, api.namespace) from e
        raise ConfigError(
            f"{e} It is of a job that is about to go, or of none: wait, or remove it (kubectl get "
            f"{resource_of(manifest).plural} {name} -n {api.namespace})."
        ) from e
    made.append((resource_of(manifest), name))
    progress.advance(1, f"{kind} {name}")
    return found
