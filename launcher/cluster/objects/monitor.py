"""The ServiceMonitor, by which the Prometheus operator finds the servers' metrics."""

from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.manifest import Manifest, manifest


def service_monitor(job: JobFile) -> Manifest:
    """Return ServiceMonitor J."""
    spec = {
        "selector": {"matchLabels": names.selector(job.name, "server")},
        "endpoints": [{"port": names.METRICS_PORT_NAME, "path": "/metrics", "interval": "15s"}],
        "targetLabels": [names.INSTANCE],
    }
    return manifest(job, kinds.SERVICE_MONITOR, names.config(job.name), "server", {"spec": spec})
