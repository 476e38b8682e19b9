"""All objects of a job, in the order in which they are made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from launcher.cluster.api import kinds
from launcher.cluster.certificates import Secrets
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.config import claims, config_map, secret, status_map
from launcher.cluster.objects.cron_job import CronVersion, cron_job
from launcher.cluster.objects.driver import driver
from launcher.cluster.objects.manifest import Manifest
from launcher.cluster.objects.monitor import service_monitor
from launcher.cluster.objects.mpijob import mpijob
from launcher.cluster.objects.security import (
    disruption_budgets,
    driver_access,
    network_policy,
    pod_account,
    serving_budget,
)
from launcher.cluster.objects.servers import servers
from launcher.cluster.objects.serving import AutoscalerVersion, autoscaler, deployment, service
from launcher.cluster.objects.task_pod import task_pod
from launcher.cluster.objects.workers import workers


@dataclass(frozen=True, kw_only=True)
class ApiVersions:
    """What a cluster knows, as far as it matters here. The default is Kubernetes 1.29 and later."""

    disruption_budget: Literal["policy/v1", "policy/v1beta1"] | None = "policy/v1"
    """None: PodDisruptionBudgets are left out."""

    job_policies: bool = True
    """Whether Jobs have podFailurePolicy and podReplacementPolicy. Others drop them, or kubectl refuses them."""

    cron_job: CronVersion = "batch/v1"
    """Where CronJobs are."""

    cron_zones: bool = True
    """Whether CronJobs have time zones: by default since 1.25. Others drop them without a word."""

    autoscaler: AutoscalerVersion = "autoscaling/v2"
    """Where HorizontalPodAutoscalers are that know more than one kind of metric."""

    @classmethod
    def of(cls, major: int, minor: int) -> "ApiVersions":
        """Return what a version of Kubernetes knows."""
        version = (major, minor)
        return cls(
            disruption_budget="policy/v1" if version >= (1, 21) else "policy/v1beta1",
            job_policies=version >= (1, 29),
            cron_job="batch/v1" if version >= (1, 21) else "batch/v1beta1",
            cron_zones=version >= (1, 25),
            autoscaler="autoscaling/v2" if version >= (1, 23) else "autoscaling/v2beta2",
        )


NEWEST = ApiVersions()


@dataclass(frozen=True, kw_only=True)
class Needed:
    """An object that a job's pods refer to and that is not made with it."""

    kind: Literal["Secret", "PersistentVolumeClaim", "PriorityClass"]
    name: str
    setting: str
    """The setting that names it, such as ``cluster.pull_secrets``."""


def render(
    job: JobFile, secrets: Secrets | None, *, api: ApiVersions = NEWEST, replicas: int | None = None
) -> list[Manifest]:
    """Return the manifests of a job; the first is the ConfigMap that owns the others (``owned``).

    Args:
        job: the job, its namespace decided
        secrets: token and certificates. None: the cluster has the job's Secret already, and it is left out
        api: what the cluster knows
        replicas: pods that answer now, where an autoscaler chooses their number. None: the job file decides

    Raises:
        ConfigError: the job needs a newer cluster
    """
    config = job.cluster
    found = [config_map(job), *claims(job), pod_account(job)]
    if config.network_policy:
        found.append(network_policy(job))
    if job.task == "train":
        found += _training(job, secrets, api)
    if job.task == "serve":
        found += _serving(job, secrets, api)
    driver = driver_manifest(job, api=api)
    if job.task == "serve" and replicas is not None:
        driver["spec"]["replicas"] = min(max(replicas, config.serve.min), config.serve.most)
    return [*found, driver]


def driver_manifest(job: JobFile, *, api: ApiVersions = NEWEST) -> Manifest:
    """Return the object whose pod does the job: driver, MPIJob (with the workers), task's pod or its times, Deployment.

    Raises:
        ConfigError: the schedule needs a newer cluster
    """
    if job.schedule is not None:
        return cron_job(job, policies=api.job_policies, version=api.cron_job, zones=api.cron_zones)
    if job.task == "serve":
        return deployment(job)
    if job.task != "train":
        return task_pod(job, policies=api.job_policies)
    if job.cluster.backend == "mpijob":
        return mpijob(job)
    return driver(job, policies=api.job_policies)


def needed(job: JobFile) -> list[Needed]:
    """Return what must exist before a job is submitted."""
    config = job.cluster
    named = [("Secret", name, "cluster.env_from_secrets") for name in config.env_from_secrets]
    named += [("Secret", name, "cluster.pull_secrets") for name in config.pull_secrets]
    if job.task == "serve" and config.serve.tls_secret is not None:
        named.append(("Secret", config.serve.tls_secret, "cluster.serve.tls_secret"))
    if config.priority_class is not None:
        named.append(("PriorityClass", config.priority_class, "cluster.priority_class"))
    named += [("PersistentVolumeClaim", name, f"pvc://{name}") for name in job.claims if name not in config.claims]
    return [Needed(kind=kind, name=name, setting=setting) for kind, name, setting in named]  # type: ignore[arg-type]


def manifests_list(manifests: Sequence[Manifest]) -> Manifest:
    """Return manifests as one object, which ``kubectl apply -f -`` takes too."""
    return {"apiVersion": "v1", "kind": "List", "items": list(manifests)}


def _training(job: JobFile, secrets: Secrets | None, api: ApiVersions) -> list[Manifest]:
    config = job.cluster
    found = [status_map(job), *([] if secrets is None else [secret(job, secrets)]), *driver_access(job)]
    if budgets := _budget_kind(api):
        found += disruption_budgets(job, budgets)
    if config.service_monitor:
        found.append(service_monitor(job))
    found += servers(job)
    return found if config.backend == "mpijob" else [*found, *workers(job)]


def _serving(job: JobFile, secrets: Secrets | None, api: ApiVersions) -> list[Manifest]:
    config = job.cluster
    found = [secret(job, secrets)] if secrets is not None and config.serve.token else []
    if budgets := _budget_kind(api):
        found.append(serving_budget(job, budgets))
    if config.service_monitor:
        found.append(service_monitor(job))
    if config.serve.scales_itself:
        found.append(autoscaler(job, api.autoscaler))
    return [*found, service(job)]


def _budget_kind(api: ApiVersions) -> kinds.Resource | None:
    if api.disruption_budget is None:
        return None
    return kinds.DISRUPTION_BUDGET if api.disruption_budget == "policy/v1" else kinds.OLD_DISRUPTION_BUDGET
