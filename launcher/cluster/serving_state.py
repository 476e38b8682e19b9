"""What a Deployment tells of a job that serves: its state, its rolling update, and what the autoscaler sees."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from launcher.cluster import names
from launcher.cluster.api.kinds import Object
from launcher.cluster.job_file import JobFile
from launcher.run_files.serving_status import ServingStatus

_IN_SERVICE = re.compile(r"\bVersion (\S+) answers\b")
"""What esmm serve says when it has taken a version."""


def serving_state(deployment: Object | None) -> str:
    """Return the state of a Deployment.

    ``running``: all pods are what they should be, and ready; ``updating``: some answer, and some are replaced, started
    or ended; ``pending``: none answers yet; ``stopped``: there shall be none, or the Deployment is gone.
    """
    if deployment is None or wanted_pods(deployment) == 0:
        return "stopped"
    if is_rolled_out(deployment):
        return "running"
    return "updating" if _count(deployment, "availableReplicas") else "pending"


def is_rolled_out(deployment: Object) -> bool:
    """Return whether all pods, and no others, are what the Deployment says, and ready."""
    wanted = wanted_pods(deployment)
    counts = [_count(deployment, name) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return not is_behind(deployment) and counts == [wanted] * 3


def is_behind(deployment: Object) -> bool:
    """Return whether the Deployment was changed, and its controller has not looked since."""
    seen = int((deployment.get("status") or {}).get("observedGeneration") or 0)
    return seen < int(deployment["metadata"].get("generation") or 0)


def why_stuck(deployment: Object) -> str:
    """Return why a rolling update does not go on, as the cluster says it; empty: it does."""
    for each in (deployment.get("status") or {}).get("conditions") or []:
        is_true, message = each.get("status") == "True", " ".join(str(each.get("message") or "").split()).rstrip(".")
        if each.get("type") == "ReplicaFailure" and is_true:
            return f"pods cannot be made: {message}"
        if each.get("type") == "Progressing" and not is_true and not is_behind(deployment):
            goes_on = ". The pods of before go on answering" if _count(deployment, "availableReplicas") else ""
            return f"the rolling update is stuck ({each.get('reason')}: {message}){goes_on}"
    return ""


def autoscaler_trouble(autoscaler: Object | None) -> str:
    """Return why an autoscaler does not choose the number of pods; empty: it does, or there is none."""
    for each in ((autoscaler or {}).get("status") or {}).get("conditions") or []:
        # ScalingDisabled: somebody has set 0 pods
        if each.get("type") == "ScalingActive" and each.get("status") == "False":
            if each.get("reason") == "ScalingDisabled":
                continue
            message = " ".join(str(each.get("message") or "").split())
            return f"the autoscaler leaves the number of pods as it is ({each.get('reason')}: {message})"
    return ""


def wanted_pods(deployment: Object) -> int:
    """Return the number of pods that there should be."""
    return int((deployment.get("spec") or {}).get("replicas", 1))


def serving_status(
    file: JobFile, deployment: Object | None, autoscaler: Object | None, versions: Sequence[str] = ()
) -> ServingStatus:
    """Return what is known of the pods of a job that serves.

    Args:
        file: the job
        deployment: its Deployment
        autoscaler: its HorizontalPodAutoscaler
        versions: versions of the model that the pods said last that they serve
    """
    config, there = file.cluster.serve, deployment or {}
    scheme = names.SCORES_PORT_NAMES[config.tls_secret is not None]
    return ServingStatus(
        address=f"{scheme}://{names.serving_host(file.name, file.known_namespace)}:{names.SCORES_PORT}",
        model=str(file.settings["name"]),
        wanted=0 if deployment is None else wanted_pods(deployment),
        ready=_count(there, "readyReplicas"),
        updated=0 if deployment is not None and is_behind(deployment) else _count(there, "updatedReplicas"),
        least=config.min,
        most=config.most,
        cpu_percent=_cpu_percent(autoscaler),
        versions=tuple(versions),
    )


def version_of(lines: Iterable[str]) -> list[str]:
    """Return the version that a pod said last that it serves; none if its lines do not tell."""
    found = [match[1] for line in lines if (match := _IN_SERVICE.search(line))]
    return found[-1:]


def _count(deployment: Object, name: str) -> int:
    return int((deployment.get("status") or {}).get(name) or 0)


def _cpu_percent(autoscaler: Object | None) -> int | None:
    metrics: Sequence[Any] = ((autoscaler or {}).get("status") or {}).get("currentMetrics") or []
    for each in metrics:
        found = ((each.get("resource") or {}).get("current") or {}).get("averageUtilization")
        if found is not None:
            return int(found)
    return None
