"""The parameter servers: a Service that gives each pod a name, and a StatefulSet."""

from typing import Any

from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.manifest import Manifest, manifest
from launcher.cluster.objects.pods import SERVER_SECRETS, PodPlan, listener_flags, pod_template, probe

PORTS = {names.SERVER_PORT_NAME: names.SERVER_PORT, names.METRICS_PORT_NAME: names.METRICS_PORT}

LEAVE_S = 5
"""Seconds that a server goes on after its pod was told to end, before it is told itself. Workers that are told at the
same moment (a drained node) get their last saves under way; calls under way are then answered to their end."""

INDEXED = 'exec esmm server --index "${POD_NAME##*-}" "$@"'
"""A StatefulSet has one template for all pods: the index is the end of the pod's name. The shell is replaced, so that
SIGTERM reaches the server."""


def servers(job: JobFile) -> list[Manifest]:
    """Return Service and StatefulSet J-server."""
    name, selector = names.server(job.name), names.selector(job.name, "server")
    spec = {
        "serviceName": name,
        "replicas": job.cluster.servers.count,
        # All at once: no server waits for another, and none is ready before all are there
        "podManagementPolicy": "Parallel",
        "revisionHistoryLimit": 2,
        "selector": {"matchLabels": selector},
        "template": pod_template(job, _plan(job)),
    }
    labels = job.cluster.queue_labels
    return [
        headless_service(job, name, "server", PORTS),
        manifest(job, kinds.STATEFUL_SET, name, "server", {"spec": spec}, labels=labels),
    ]


def headless_service(job: JobFile, name: str, component: names.Component, ports: dict[str, int]) -> Manifest:
    """Return a Service that only gives names, to pods that are not ready too: a run is opened on servers so."""
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": names.selector(job.name, component),
        "ports": [{"name": n, "port": port, "targetPort": n, "protocol": "TCP"} for n, port in ports.items()],
    }
    return manifest(job, kinds.SERVICE, name, component, {"spec": spec})


def _plan(job: JobFile) -> PodPlan:
    config = job.cluster
    args = ["--count", str(config.servers.count), "--bind", f"0.0.0.0:{names.SERVER_PORT}"]
    args += [*listener_flags(job, asks_clients=True), "--metrics-port", str(names.METRICS_PORT)]
    if (job.run or "").startswith(f"{names.CLAIMS_PATH}/"):
        args += ["--root", names.CLAIMS_PATH]
    container: dict[str, Any] = {
        # TensorFlow's import takes seconds, and a minute on a busy node
        "startupProbe": probe("/healthz", names.METRICS_PORT_NAME, periodSeconds=2, failureThreshold=150),
        # 503 while no run is open and while rows are restored
        "readinessProbe": probe(
            "/readyz", names.METRICS_PORT_NAME, periodSeconds=5, timeoutSeconds=3, failureThreshold=2
        ),
        # Answered by a thread of its own, also during a long save; a minute of silence is a process that hangs
        "livenessProbe": probe(
            "/healthz", names.METRICS_PORT_NAME, periodSeconds=10, timeoutSeconds=5, failureThreshold=6
        ),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(LEAVE_S)]}}},
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": names.selector(job.name, "server")},
    }
    return PodPlan(
        component="server",
        size=config.servers,
        command=["sh", "-c", INDEXED, "esmm"],
        args=args,
        secrets=SERVER_SECRETS,
        ports=PORTS,
        container=container,
        pod={"topologySpreadConstraints": [spread]},
        account=names.pod_account(job.name),
        grace_seconds=config.grace_seconds + LEAVE_S,
    )
