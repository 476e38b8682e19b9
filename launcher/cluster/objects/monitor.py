"""The ServiceMonitor, by which the Prometheus operator finds the metrics of servers, or of a serve job's pods."""

from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.manifest import Manifest, manifest


def service_monitor(job: JobFile) -> Manifest:
    """Return ServiceMonitor J."""
    component: names.Component = "serving" if job.task == "serve" else "server"
    spec = {
        "selector": {"matchLabels": names.selector(job.name, component)},
        "endpoints": [{"port": names.METRICS_PORT_NAME, "path": "/metrics", "interval": "15s"}],
        "targetLabels": [names.INSTANCE],
    }
    return manifest(job, kinds.SERVICE_MONITOR, names.config(job.name), component, {"spec": spec})
