"""The state of a job that serves: its pods, where they answer, and what the autoscaler sees."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ServingStatus:
    """Pods that answer."""

    address: str
    """Where they answer within the cluster: ``http://shop-serving.ml.svc:8501``."""
    model: str
    """Name of the model in paths: ``/v1/models/NAME``."""
    wanted: int
    """Pods that there should be."""
    ready: int
    """Pods that answer."""
    updated: int
    """Pods that are what the job file says now."""
    least: int
    most: int
    """Pods that the autoscaler may choose; both the same: there is none."""
    cpu_percent: int | None = None
    """Share of their cores in percent that the pods use, as the autoscaler saw it last. None: it has not, or there is
    none."""
    versions: tuple[str, ...] = ()
    """Versions of the model that the pods said last that they serve; more than one while they change."""


def serving_lines(status: ServingStatus) -> list[str]:
    """Return the state of pods that answer for a reader."""
    if not status.wanted:
        return []
    lines = [f"answers at {status.address}/v1/score, and as model {status.model} of TensorFlow Serving's REST"]
    if status.versions:
        lines.append(f"version{'s' if len(status.versions) > 1 else ''} in service: {', '.join(status.versions)}")
    if status.updated < status.wanted:
        lines.append(f"rolling update: {status.updated} of {status.wanted} pods are what the job file says now")
    if status.least < status.most:
        used = "not known yet" if status.cpu_percent is None else f"{status.cpu_percent}%"
        lines.append(f"autoscaler: {status.least} to {status.most} pods; they use {used} of their cpu")
    return lines
