"""Submit a job with a schedule, or one that serves, again: its objects become those of the new job file.

Runs of a schedule and their logs stay; pods that answer are replaced one by one if what they are has changed.
"""

from typing import Any

from esmm_dist.progress import Progress
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.api.client import Api
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.api.kinds import Object, resource_of
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.manifest import STAYS, owned
from launcher.cluster.serving_state import wanted_pods
from launcher.cluster.snapshot import JobSnapshot, find_config, read_snapshot

CONTENT = ("data", "spec")
"""Parts of an object that a job file decides; labels and annotations beside them."""

_READ = (kinds.CONFIG_MAP, kinds.CRON_JOB, kinds.OLD_CRON_JOB, kinds.DEPLOYMENT)
"""Kinds that users may read one by one, and whose content has to be known to remove what is not wanted."""


def job_before(api: Api, job: JobFile) -> JobSnapshot | None:
    """Return the job of this name if it and the new one both have a schedule, or both serve; None: nothing to update.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    if job.schedule is None and job.task != "serve":
        return None
    config = find_config(api, job.name)
    if config is None or names.JOB_KEY not in (config.get("data") or {}):
        return None
    before = read_snapshot(api, job.name)
    if job.task == "serve":
        return before if before.file.task == "serve" else None
    return before if before.file.schedule is not None else None


def replicas_now(before: JobSnapshot | None) -> int | None:
    """Return the number of pods of a job that serves, as its autoscaler has chosen it; None: the job file decides."""
    if before is None or before.driver is None or before.file.task != "serve":
        return None
    return wanted_pods(before.driver)


def update(api: Api, before: JobSnapshot, drafts: list[Object], progress: Progress) -> None:
    """Make objects what a new job file says. A run in progress keeps its pod, and its settings, which it has read.

    Args:
        api: the cluster
        before: the job as it is
        drafts: the objects of the new job file, the ConfigMap first
        progress: receives each object

    Raises:
        ClusterError: The cluster refuses; the same command again goes on.
    """
    wanted = {each["kind"] for each in drafts}
    if before.file.task == "serve" and kinds.AUTOSCALER.kind not in wanted:
        remove_autoscaler(api, before.job)  # first: it would change the number of pods once more
    config, rest = drafts[0], owned(drafts[1:], before.job, before.uid)
    # The ConfigMap last: what submit shows as the job is then what the cluster does. But before pods that read it
    for manifest in [config, *rest] if before.file.task == "serve" else [*rest, config]:
        make(api, manifest)
        progress.advance(1, f"{manifest['kind']} {manifest['metadata']['name']}")
    for resource in (kinds.NETWORK_POLICY, *([kinds.SERVICE_MONITOR] if before.file.cluster.service_monitor else [])):
        if resource.kind not in wanted:
            api.delete(resource, names.config(before.job))


def remove_autoscaler(api: Api, job: str) -> None:
    """Remove the autoscaler of a job that serves, if there is one."""
    # A cluster knows them by one of these, or by both
    if not api.delete(kinds.AUTOSCALER, names.serving(job)):
        api.delete(kinds.OLD_AUTOSCALER, names.serving(job))


def changes(now: Any, wanted: Any) -> Any:
    """Return the merge patch (RFC 7386) that makes one value of another: what is not wanted is removed."""
    if not isinstance(now, dict) or not isinstance(wanted, dict):
        return wanted
    removed = {key: None for key in now if key not in wanted}
    return removed | {key: changes(now.get(key), value) for key, value in wanted.items()}


def make(api: Api, manifest: Object) -> None:
    """Create an object, or make the one that is there what the manifest says; claims and Secrets stay as they are."""
    resource, name = resource_of(manifest), str(manifest["metadata"]["name"])
    found = api.find(resource, name) if resource in _READ else None
    if found is None:
        found = _created_or_found(api, manifest)
    if found is None or manifest["kind"] in (*STAYS, kinds.SECRET.kind):  # clients have the token
        return
    metadata = {key: manifest["metadata"][key] for key in ("labels", "annotations") if key in manifest["metadata"]}
    content = {key: changes(found.get(key), manifest[key]) for key in CONTENT if key in manifest}
    api.patch(resource, name, {"metadata": metadata, **content})


def _created_or_found(api: Api, manifest: Object) -> Object | None:
    """Create an object; return None if that was possible, else what is there, as far as it matters."""
    try:
        api.create(manifest)
    except ClusterError as e:
        if e.reason != "AlreadyExists":
            raise
        return {}
    return None
