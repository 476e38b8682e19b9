"""The workers: an agent in each pod, whose child is the training process."""

from typing import Any

from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.manifest import Manifest, manifest
from launcher.cluster.objects.pods import WORKER_SECRETS, PodPlan, client_flags, listener_flags, pod_template, probe
from launcher.cluster.objects.servers import headless_service

PORTS = {names.AGENT_PORT_NAME: names.AGENT_PORT}

MARGIN_S = 10
"""Seconds that the pod has longer than its worker: the agent kills a worker that stays, and ends in good order."""


def workers(job: JobFile) -> list[Manifest]:
    """Return Service and StatefulSet J-worker."""
    name = names.worker(job.name)
    spec = {
        "serviceName": name,
        "replicas": job.cluster.workers.first,
        "podManagementPolicy": "Parallel",
        "revisionHistoryLimit": 2,
        "selector": {"matchLabels": names.selector(job.name, "worker")},
        "template": pod_template(job, worker_plan(job)),
    }
    labels = job.cluster.queue_labels
    return [
        headless_service(job, name, "worker", PORTS),
        manifest(job, kinds.STATEFUL_SET, name, "worker", {"spec": spec}, labels=labels),
    ]


def worker_plan(job: JobFile) -> PodPlan:
    """Return what a worker's pod is, whoever makes it."""
    config = job.cluster
    args = ["agent", "--name", "$(POD_NAME)", "--bind", f"0.0.0.0:{names.AGENT_PORT}"]
    args += [*listener_flags(job, asks_clients=False), "--grace-seconds", str(config.grace_seconds)]
    if config.workers.standby:
        args.append("--standby")
    args += ["--", "train", "--config", names.settings_path("train"), *client_flags(job)]

    def health(**numbers: int) -> dict[str, Any]:
        return probe("/healthz", names.AGENT_PORT_NAME, tls=config.tls, **numbers)

    container = {
        "startupProbe": health(periodSeconds=2, failureThreshold=60),
        # 503 once the agent is about to end: no driver begins anything on it any more
        "readinessProbe": health(periodSeconds=2, timeoutSeconds=3, failureThreshold=3),
        # The agent's own threads answer; that the training goes on is the driver's to watch (stall_seconds). While it
        # ends (503) the kubelet's grace period has begun, and no longer this probe
        "livenessProbe": health(periodSeconds=10, timeoutSeconds=5, failureThreshold=6),
    }
    return PodPlan(
        component="worker",
        size=config.workers,
        command=["esmm"],
        args=args,
        secrets=WORKER_SECRETS,
        settings=True,
        ports=PORTS,
        container=container,
        fetched=job.fetched,
        gpus=config.workers.gpus,
        node_selector=config.worker_node_selector,
        account=names.pod_account(job.name),
        grace_seconds=config.grace_seconds + MARGIN_S,
    )
