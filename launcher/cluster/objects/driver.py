"""The driver: a Job of one pod."""

from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.manifest import Manifest, manifest
from launcher.cluster.objects.pods import CLIENT_SECRETS, PodPlan, client_flags, literal, pod_template

TRIES = 10
"""Times that a driver that failed is started again; one that is lost with its node counts too."""

GRACE_S = 5
"""A driver holds nothing that is lost with it. Short, because a pod that is deleted is replaced before it is gone."""


def driver(job: JobFile, *, policies: bool) -> Manifest:
    """Return Job J-driver.

    Args:
        job: the job
        policies: whether the cluster knows ``podReplacementPolicy``.
    """
    template = pod_template(job, driver_plan(job))
    template["spec"]["restartPolicy"] = "OnFailure"
    spec = {
        "backoffLimit": TRIES,
        # No second driver before the first is gone; where that is unknown, agents obey the newer one
        **({"podReplacementPolicy": "Failed"} if policies else {}),
        "template": template,
    }
    name, labels = names.driver(job.name), job.cluster.queue_labels
    return manifest(job, kinds.JOB, name, "driver", {"spec": spec}, labels=labels)


def driver_plan(job: JobFile) -> PodPlan:
    """Return what the driver's pod is, whoever makes it."""
    config = job.cluster
    assert job.run is not None
    args = ["driver", "--run", literal(job.run), "--job", job.name, "--namespace", job.known_namespace]
    args += ["--backend", config.backend, *client_flags(job)]
    args += ["--host", "$(POD_IP)", "--interface", literal(config.interface)]
    args += ["--min-workers", str(config.workers.min), "--max-workers", str(config.workers.max)]
    args += ["--stall-seconds", f"{config.stall_seconds:g}"]
    return PodPlan(
        component="driver",
        size=config.driver,
        command=["esmm"],
        args=args,
        secrets=CLIENT_SECRETS,
        account=names.driver(job.name),
        asks_api=True,
        grace_seconds=GRACE_S,
    )
