"""Tasks of one pod: synth, preprocess, pipeline, evaluate, predict, export, report, stats."""

from esmm_dist.errors import ConfigError
from esmm_dist.storage.on_copies import SCRATCH
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.job_file import JobFile
from launcher.cluster.locations import claim_place
from launcher.cluster.objects.manifest import Manifest, manifest
from launcher.cluster.objects.pods import PodPlan, pod_template
from launcher.tasks import TASKS


def task_pod(job: JobFile, *, policies: bool) -> Manifest:
    """Return Job J-task.

    Each try is a pod of its own, so that the log of a failed one stays, and another node may do better. What preprocess
    has finished is found by the next try.

    Args:
        job: the job
        policies: whether the cluster knows ``podFailurePolicy`` and ``podReplacementPolicy``.
    """
    config = job.cluster
    scratch, workers = config.pod.scratch, config.pod.workers
    ranks = ["local", "--workers", str(workers), "--servers", "1", "--"] if workers > 1 else []
    plan = PodPlan(
        component="task",
        size=config.pod,
        command=["esmm"],
        args=[*ranks, job.task, "--config", names.settings_path(job.task)],
        fetched=job.fetched,
        settings=True,
        env={} if scratch is None else {SCRATCH: claim_place("scratch", scratch).location},
        account=names.pod_account(job.name),
        grace_seconds=config.grace_seconds,
    )
    template = pod_template(job, plan)
    template["spec"]["restartPolicy"] = "Never"
    statuses = sorted({ConfigError.exit_status, *TASKS[job.task].final_statuses})
    in_vain = {"containerName": "task", "operator": "In", "values": statuses}
    # A wrong setting and a refusing gate fail the job at once; where that is unknown, they are tried like the rest
    failure = {"rules": [{"action": "FailJob", "onExitCodes": in_vain}]}
    spec = {
        "backoffLimit": config.pod.retries,
        **({"podFailurePolicy": failure, "podReplacementPolicy": "Failed"} if policies else {}),
        "template": template,
    }
    name, labels = names.task(job.name), config.queue_labels
    return manifest(job, kinds.JOB, name, "task", {"spec": spec}, labels=labels)
