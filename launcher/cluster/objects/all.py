"""All objects of a job, in the order in which they are made."""

from dataclasses import dataclass
from typing import Any, Literal

from launcher.cluster.certificates import Secrets
from launcher.cluster.job_file import JobFile

Manifest = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ApiVersions:
    """What a cluster knows, as far as it matters here. The defaults are those of Kubernetes 1.21 and later."""

    disruption_budget: Literal["policy/v1", "policy/v1beta1"] | None = "policy/v1"
    """None: PodDisruptionBudgets are left out."""


def render(
    job: JobFile, secrets: Secrets, *, api: ApiVersions = ApiVersions(), owner_uid: str | None = None
) -> list[Manifest]:
    """Return the manifests of a job; the first is the ConfigMap that owns the others.

    Args:
        job: With its namespace decided.
        secrets: Of ``make_secrets``.
        api: What the cluster knows.
        owner_uid: Uid of that ConfigMap once it is made: the others then refer to it as their owner, but for claims,
            which stay. None: no references (what ``kubectl apply`` is given).
    """
    raise NotImplementedError
