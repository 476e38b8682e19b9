"""The ServiceMonitor, by which the Prometheus operator finds the servers' metrics."""

from launcher.cluster import names
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.manifest import Manifest, manifest

API_VERSION = "monitoring.coreos.com/v1"


def service_monitor(job: JobFile) -> Manifest:
    """Return ServiceMonitor J."""
    spec = {
        "selector": {"matchLabels": names.selector(job.name, "server")},
        "endpoints": [{"port": names.METRICS_PORT_NAME, "path": "/metrics", "interval": "15s"}],
        "targetLabels": [names.INSTANCE],
    }
    return manifest(job, API_VERSION, "ServiceMonitor", names.config(job.name), "server", {"spec": spec})
