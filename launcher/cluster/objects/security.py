"""Who may do what: service accounts, the driver's rights, who gets in, and what a drained node may take."""

from collections.abc import Sequence
from typing import Any

from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.manifest import Manifest, manifest

RBAC = "rbac.authorization.k8s.io"


def pod_account(job: JobFile) -> Manifest:
    """Return the ServiceAccount of all pods but the driver: no rights, no token."""
    return _account(job, names.pod_account(job.name), "config")


def driver_access(job: JobFile) -> list[Manifest]:
    """Return the driver's ServiceAccount, Role and RoleBinding: what it asks of the API, and no more."""
    name = names.driver(job.name)
    sets = [names.server(job.name)]
    if job.cluster.backend == "plain":
        sets.append(names.worker(job.name))
    rules = [
        # By label, which RBAC cannot express: the driver sees all pods of its namespace
        _rule("", "pods", ["list"]),
        _rule("", "configmaps", ["get"], [names.config(job.name)]),
        _rule("", "configmaps", ["get", "patch"], [names.status(job.name)]),
        _rule("apps", "statefulsets/scale", ["patch"], sets),
    ]
    role = manifest(job, kinds.ROLE, name, "driver", {"rules": rules})
    binding = {
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": job.known_namespace}],
    }
    return [
        _account(job, name, "driver"),
        role,
        manifest(job, kinds.ROLE_BINDING, name, "driver", binding),
    ]


def network_policy(job: JobFile) -> Manifest:
    """Return the NetworkPolicy: only pods of this job get in, and the named namespace to the metrics.

    The port of scores is open to ``cluster.serve.from_namespaces``.
    All ports of a job's own pods are open to each other: Horovod listens on ports that nobody knows before. What goes
    out is not limited: names, the object store and the API are reached at addresses that nobody knows here.
    """
    own = {names.NAME: names.APP, names.INSTANCE: job.name}
    ingress: list[dict[str, Any]] = [{"from": [{"podSelector": {"matchLabels": own}}]}]
    if job.cluster.metrics_namespace is not None:
        ingress.append(_from_namespaces([job.cluster.metrics_namespace], names.METRICS_PORT))
    if job.task == "serve":
        ingress.append(_from_namespaces(job.cluster.serve.from_namespaces, names.SCORES_PORT))
    spec = {"podSelector": {"matchLabels": own}, "policyTypes": ["Ingress"], "ingress": ingress}
    return manifest(job, kinds.NETWORK_POLICY, names.config(job.name), "config", {"spec": spec})


def disruption_budgets(job: JobFile, resource: kinds.Resource) -> list[Manifest]:
    """Return the PodDisruptionBudgets of servers and workers.

    An MPIJob's workers get none: such a budget is counted through a scale subresource, which MPIJob lacks.
    """
    config = job.cluster
    budgets = [_budget(job, resource, names.server(job.name), "server", config.servers.max_unavailable)]
    if config.backend == "plain":
        budgets.append(_budget(job, resource, names.worker(job.name), "worker", config.workers.max_unavailable))
    return budgets


def serving_budget(job: JobFile, resource: kinds.Resource) -> Manifest:
    """Return the PodDisruptionBudget of a serve job."""
    return _budget(job, resource, names.serving(job.name), "serving", job.cluster.serve.max_unavailable)


def _budget(job: JobFile, resource: kinds.Resource, name: str, component: names.Component, most: int) -> Manifest:
    spec = {"maxUnavailable": most, "selector": {"matchLabels": names.selector(job.name, component)}}
    return manifest(job, resource, name, component, {"spec": spec})


def _from_namespaces(namespaces: Sequence[str], port: int) -> dict[str, Any]:
    """Return the rule that lets pods of some namespaces reach a port; of none named: everyone."""
    sources = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": each}}} for each in namespaces]
    return {**({"from": sources} if sources else {}), "ports": [{"protocol": "TCP", "port": port}]}


def _account(job: JobFile, name: str, component: names.Component) -> Manifest:
    account = manifest(job, kinds.SERVICE_ACCOUNT, name, component, {"automountServiceAccountToken": False})
    if job.cluster.account_annotations:
        account["metadata"]["annotations"] = dict(job.cluster.account_annotations)
    return account


def _rule(group: str, resource: str, verbs: list[str], names_: list[str] | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"apiGroups": [group], "resources": [resource], "verbs": verbs}
    if names_ is not None:
        rule["resourceNames"] = names_
    return rule
