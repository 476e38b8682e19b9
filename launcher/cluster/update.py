"""Submit a job with a schedule again: its objects become those of the new job file, its runs and its log stay."""

from typing import Any

from esmm_dist.progress import Progress
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.api.client import Api
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.api.kinds import Object, resource_of
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.manifest import STAYS, owned
from launcher.cluster.snapshot import JobSnapshot, find_config, read_snapshot

CONTENT = ("data", "spec")
"""Parts of an object that a job file decides; labels and annotations beside them."""

_READ = (kinds.CONFIG_MAP, kinds.CRON_JOB, kinds.OLD_CRON_JOB)
"""Kinds that users may read one by one, and whose content has to be known to remove what is not wanted."""


def scheduled_before(api: Api, job: JobFile) -> JobSnapshot | None:
    """Return the job of this name if it and the new one both have a schedule; None: there is nothing to update.

    Raises:
        ClusterError: The cluster cannot be reached, or refuses.
    """
    if job.schedule is None:
        return None
    config = find_config(api, job.name)
    if config is None or names.JOB_KEY not in (config.get("data") or {}):
        return None
    before = read_snapshot(api, job.name)
    return before if before.file.schedule is not None else None


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
    # The ConfigMap last: what submit shows as the job is then what the cluster does
    for manifest in [*owned(drafts[1:], before.job, before.uid), drafts[0]]:
        _make(api, manifest)
        progress.advance(1, f"{manifest['kind']} {manifest['metadata']['name']}")
    if all(each["kind"] != kinds.NETWORK_POLICY.kind for each in drafts):
        api.delete(kinds.NETWORK_POLICY, names.config(before.job))


def changes(now: Any, wanted: Any) -> Any:
    """Return the merge patch (RFC 7386) that makes one value of another: what is not wanted is removed."""
    if not isinstance(now, dict) or not isinstance(wanted, dict):
        return wanted
    removed = {key: None for key in now if key not in wanted}
    return removed | {key: changes(now.get(key), value) for key, value in wanted.items()}


def _make(api: Api, manifest: Object) -> None:
    resource, name = resource_of(manifest), str(manifest["metadata"]["name"])
    found = api.find(resource, name) if resource in _READ else None
    if found is None:
        found = _created_or_found(api, manifest)
    if found is None or manifest["kind"] in STAYS:
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
