"""The kinds of objects that jobs are made of, and where the API has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """A kind of object."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def root(self) -> str:
        """The path of its API version."""
        return f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"

    def path(self, namespace: str | None, name: str = "", part: str = "") -> str:
        """Return the path of an object, or of all of a namespace (None: of all namespaces)."""
        inside = f"/namespaces/{namespace}" if self.namespaced and namespace is not None else ""
        return self.root + inside + f"/{self.plural}" + (f"/{name}" if name else "") + (f"/{part}" if part else "")


NAMESPACE = Resource("v1", "Namespace", "namespaces", False)
CONFIG_MAP = Resource("v1", "ConfigMap", "configmaps")
SECRET = Resource("v1", "Secret", "secrets")
SERVICE = Resource("v1", "Service", "services")
SERVICE_ACCOUNT = Resource("v1", "ServiceAccount", "serviceaccounts")
CLAIM = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
POD = Resource("v1", "Pod", "pods")
EVENT = Resource("v1", "Event", "events")
STATEFUL_SET = Resource("apps/v1", "StatefulSet", "statefulsets")
DEPLOYMENT = Resource("apps/v1", "Deployment", "deployments")
AUTOSCALER = Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
OLD_AUTOSCALER = Resource("autoscaling/v2beta2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
"""Before Kubernetes 1.23."""
JOB = Resource("batch/v1", "Job", "jobs")
CRON_JOB = Resource("batch/v1", "CronJob", "cronjobs")
OLD_CRON_JOB = Resource("batch/v1beta1", "CronJob", "cronjobs")
"""Before Kubernetes 1.21."""
ROLE = Resource("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDING = Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
NETWORK_POLICY = Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
DISRUPTION_BUDGET = Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
OLD_DISRUPTION_BUDGET = Resource("policy/v1beta1", "PodDisruptionBudget", "poddisruptionbudgets")
PRIORITY_CLASS = Resource("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", False)
SERVICE_MONITOR = Resource("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors")
MPI_JOB = Resource("kubeflow.org/v2beta1", "MPIJob", "mpijobs")

RESOURCES = (
    *(NAMESPACE, CONFIG_MAP, SECRET, SERVICE, SERVICE_ACCOUNT, CLAIM, POD, EVENT, STATEFUL_SET, JOB, ROLE),
    *(ROLE_BINDING, NETWORK_POLICY, DISRUPTION_BUDGET, OLD_DISRUPTION_BUDGET, PRIORITY_CLASS, SERVICE_MONITOR, MPI_JOB),
    *(CRON_JOB, OLD_CRON_JOB, DEPLOYMENT, AUTOSCALER, OLD_AUTOSCALER),
)


def resource_of(manifest: Mapping[str, Any]) -> Resource:
    """Return the kind of a manifest."""
    for each in RESOURCES:
        if (each.api_version, each.kind) == (manifest["apiVersion"], manifest["kind"]):
            return each
    raise AssertionError(f"{manifest['apiVersion']} {manifest['kind']} is not in RESOURCES")
