"""What every manifest has: kind, name, labels, owner."""

from collections.abc import Iterable, Mapping
from typing import Any

from launcher.cluster import names
from launcher.cluster.job_file import JobFile

Manifest = dict[str, Any]

STAYS = ("PersistentVolumeClaim",)
"""Kinds that are not deleted with their job."""


def manifest(
    job: JobFile,
    api_version: str,
    kind: str,
    name: str,
    component: names.Component,
    body: Mapping[str, Any],
    *,
    labels: Mapping[str, str] | None = None,
) -> Manifest:
    """Return an object of a job.

    Args:
        job: Whose.
        api_version: Such as ``apps/v1``.
        kind: Such as ``StatefulSet``.
        name: Of ``names``.
        component: Its label.
        body: ``spec``, ``data`` and the like.
        labels: Further ones.
    """
    return {
        "apiVersion": api_version,
        "kind": kind,
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
