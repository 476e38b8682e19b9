"""What every manifest has: kind, name, labels, owner."""

from collections.abc import Iterable, Mapping
from typing import Any

from launcher.cluster import names
from launcher.cluster.api.kinds import Resource
from launcher.cluster.job_file import JobFile

Manifest = dict[str, Any]

STAYS = ("PersistentVolumeClaim",)
"""Kinds that are not deleted with their job."""


def manifest(
    job: JobFile,
    resource: Resource,
    name: str,
    component: names.Component,
    body: Mapping[str, Any],
    *,
    labels: Mapping[str, str] | None = None,
) -> Manifest:
    """Return an object of a job.

    Args:
        job: the job that it belongs to
        resource: the kind of object
        name: one of ``names``
        component: the label that tells its part in the job
        body: ``spec``, ``data`` and the like
        labels: further labels
    """
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "namespace": job.known_namespace,
            "labels": {**(labels or {}), **names.labels(job.name, component)},
        },
        **body,
    }


def owned(manifests: Iterable[Manifest], job: str, uid: str) -> list[Manifest]:
    """Return objects that refer to ConfigMap J as their owner: its deletion takes them along, but for claims.

    ``controller`` is false, for the ConfigMap does nothing for them, and ``blockOwnerDeletion`` too, because to set it
    needs a right on the owner's finalizers that users of a namespace may lack.
    """
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": names.config(job),
        "uid": uid,
        "controller": False,
        "blockOwnerDeletion": False,
    }
    return [
        each if each["kind"] in STAYS else {**each, "metadata": {**each["metadata"], "ownerReferences": [dict(owner)]}}
        for each in manifests
    ]
