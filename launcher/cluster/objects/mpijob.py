"""Workers and driver as a Kubeflow MPIJob (kubeflow.org/v2beta1): its launcher is the driver, its workers are agents.

Nothing of MPI or ssh is used; the operator gives queueing, and names workers J-worker-N with a Service J. Servers are
apart, for an MPIJob knows no third kind of pod.
"""

from typing import Any

from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.driver import TRIES, driver_plan
from launcher.cluster.objects.manifest import Manifest, manifest
from launcher.cluster.objects.pods import PodPlan, pod_template
from launcher.cluster.objects.workers import worker_plan

SSH_PATH = "/run/esmm/ssh"
"""Where the operator mounts the keys that nobody uses; its own choice is in root's home, which is not for this user."""


def mpijob(job: JobFile) -> Manifest:
    """Return MPIJob J."""
    spec = {
        "slotsPerWorker": 1,
        "sshAuthMountPath": SSH_PATH,
        # Pods that have ended stay for their logs
        "runPolicy": {"cleanPodPolicy": "Running", "backoffLimit": TRIES},
        "mpiReplicaSpecs": {
            "Launcher": _replicas(job, driver_plan(job), 1),
            "Worker": _replicas(job, worker_plan(job), job.cluster.workers.first),
        },
    }
    name, labels = names.config(job.name), job.cluster.queue_labels
    return manifest(job, kinds.MPI_JOB, name, "driver", {"spec": spec}, labels=labels)


def _replicas(job: JobFile, plan: PodPlan, count: int) -> dict[str, Any]:
    # OnFailure: the operator does not replace a worker whose pod has failed
    return {"replicas": count, "restartPolicy": "OnFailure", "template": pod_template(job, plan)}
