"""``task: serve``: a Deployment of pods that answer, the Service that reaches them, and what chooses their number."""

import hashlib
import json
import math
from typing import Any, Literal

from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.manifest import Manifest, manifest
from launcher.cluster.objects.pods import PodPlan, pod_template, probe

AutoscalerVersion = Literal["autoscaling/v2", "autoscaling/v2beta2"]

MARGIN_S = 10
"""Seconds that a pod has longer than its last request may take."""

PROBE_S = 2


def deployment(job: JobFile) -> Manifest:
    """Return Deployment J-serving.

    A pod is replaced by another one that is ready before it: no request finds fewer pods than there should be.
    """
    config = job.cluster.serve
    spec = {
        "replicas": config.min,
        "revisionHistoryLimit": 2,
        "progressDeadlineSeconds": config.start_seconds + PROBE_S,  # more than a start may take
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "selector": {"matchLabels": names.selector(job.name, "serving")},
        "template": pod_template(job, _plan(job)),
    }
    labels = job.cluster.queue_labels
    return manifest(job, kinds.DEPLOYMENT, names.serving(job.name), "serving", {"spec": spec}, labels=labels)


def service(job: JobFile) -> Manifest:
    """Return Service J-serving: one address for all pods that are ready."""
    config, shown = job.cluster.serve, _ports(job)
    if config.service != "ClusterIP":  # it leads outside, where metrics are nobody's business
        del shown[names.METRICS_PORT_NAME]
    ports = [{"name": name, "port": port, "targetPort": name, "protocol": "TCP"} for name, port in shown.items()]
    spec = {"type": config.service, "selector": names.selector(job.name, "serving"), "ports": ports}
    made = manifest(job, kinds.SERVICE, names.serving(job.name), "serving", {"spec": spec})
    if config.service_annotations:
        made["metadata"]["annotations"] = dict(config.service_annotations)
    return made


def autoscaler(job: JobFile, version: AutoscalerVersion) -> Manifest:
    """Return HorizontalPodAutoscaler J-serving.

    Args:
        job: the job, with ``cluster.serve.max`` above ``min``
        version: where the API has autoscalers that know utilization of a resource
    """
    config, name = job.cluster.serve, names.serving(job.name)
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": config.cpu_percent}}
    spec = {
        "scaleTargetRef": {"apiVersion": kinds.DEPLOYMENT.api_version, "kind": kinds.DEPLOYMENT.kind, "name": name},
        "minReplicas": config.min,
        "maxReplicas": config.most,
        "metrics": [{"type": "Resource", "resource": cpu}],
    }
    resource = kinds.AUTOSCALER if version == "autoscaling/v2" else kinds.OLD_AUTOSCALER
    return manifest(job, resource, name, "serving", {"spec": spec})


def _ports(job: JobFile) -> dict[str, int]:
    scores = names.SCORES_PORT_NAMES[job.cluster.serve.tls_secret is not None]
    return {scores: names.SCORES_PORT, names.METRICS_PORT_NAME: names.METRICS_PORT}


def _plan(job: JobFile) -> PodPlan:
    config, settings = job.cluster.serve, job.settings

    def health(path: str, **numbers: int) -> dict[str, Any]:
        return {**probe(path, names.METRICS_PORT_NAME), **numbers}

    container = {
        "startupProbe": health(
            "/healthz",
            periodSeconds=PROBE_S,
            timeoutSeconds=3,
            failureThreshold=math.ceil(config.start_seconds / PROBE_S),
        ),
        # 503 without a version, and from SIGTERM on: what asks then is sent to the other pods
        "readinessProbe": health("/readyz", periodSeconds=PROBE_S, timeoutSeconds=3, failureThreshold=2),
        "livenessProbe": health("/healthz", periodSeconds=10, timeoutSeconds=5, failureThreshold=6),
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": names.selector(job.name, "serving")},
    }
    # From SIGTERM on a pod answers for drain_s as before; the last request may come then, and take its time
    last_s = settings["drain_s"] + settings["upload_timeout_s"] + settings["timeout_ms"] / 1000
    return PodPlan(
        component="serving",
        size=config,
        command=["esmm"],
        args=["serve", "--config", names.settings_path("serve"), *_flags(job)],
        secrets=(names.TOKEN_KEY,) if config.token else (),
        settings=True,
        ports=_ports(job),
        container=container,
        pod={"topologySpreadConstraints": [spread]},
        volumes=_volumes(job),
        changes_claims=False,
        annotations={names.SETTINGS_HASH: _settings_hash(job)},
        account=names.pod_account(job.name),
        grace_seconds=math.ceil(last_s) + MARGIN_S,
    )


def _flags(job: JobFile) -> list[str]:
    """Return the flags of what ``cluster`` decides."""
    config = job.cluster.serve
    flags = ["--bind", "0.0.0.0", "--port", str(names.SCORES_PORT), "--metrics-port", str(names.METRICS_PORT)]
    flags += ["--cache", names.CACHE_PATH]
    flags += ["--token-file", names.secret_path(names.TOKEN_KEY)] if config.token else ["--insecure-no-token"]
    if config.tls_secret is not None:
        cert, key = (f"{names.TLS_PATH}/{each}" for each in (names.TLS_CERT_KEY, names.TLS_KEY_KEY))
        flags += ["--tls-cert", cert, "--tls-key", key]
    return flags


def _volumes(job: JobFile) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the folder for versions of an object store, and the certificate; each with its mount."""
    config = job.cluster.serve
    limit: dict[str, Any] = {} if config.storage is None else {"sizeLimit": str(config.storage)}
    found: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"name": "cache", "emptyDir": limit}, {"mountPath": names.CACHE_PATH})
    ]
    if config.tls_secret is not None:
        keys = [{"key": key, "path": key} for key in (names.TLS_CERT_KEY, names.TLS_KEY_KEY)]
        secret = {"secretName": config.tls_secret, "defaultMode": 0o440, "items": keys}
        found.append(({"name": "tls", "secret": secret}, {"mountPath": names.TLS_PATH, "readOnly": True}))
    return found


def _settings_hash(job: JobFile) -> str:
    """Return a hash of the settings that pods read when they start: with others the pods are replaced."""
    return hashlib.sha256(json.dumps(dict(job.settings), sort_keys=True, default=str).encode()).hexdigest()[:16]
