"""A task of one pod that runs by a schedule: a CronJob, whose Jobs are those of ``task_pod``."""

from typing import Literal

from esmm_dist.errors import ConfigError
from launcher.cluster import names
from launcher.cluster.api import kinds
from launcher.cluster.job_file import JobFile
from launcher.cluster.objects.manifest import Manifest, manifest
from launcher.cluster.objects.task_pod import task_pod

CronVersion = Literal["batch/v1", "batch/v1beta1"]


def cron_job(job: JobFile, *, policies: bool, version: CronVersion, zones: bool) -> Manifest:
    """Return CronJob J-task.

    Args:
        job: the job, which has a schedule
        policies: whether the cluster knows ``podFailurePolicy`` and ``podReplacementPolicy``
        version: where the API has CronJobs
        zones: whether the cluster knows time zones of CronJobs

    Raises:
        ConfigError: it has a time zone, and the cluster knows none
    """
    schedule = job.schedule
    assert schedule is not None
    if not zones and schedule.time_zone != "UTC":
        raise ConfigError(
            f"schedule.time_zone is {schedule.time_zone}, and CronJobs have time zones since Kubernetes 1.25; this "
            "cluster is older. Leave it out, and write schedule.cron in the time of the cluster's controller (UTC "
            "nearly everywhere)."
        )
    whole = task_pod(job, policies=policies)
    spec = {
        "schedule": schedule.cron,
        **({"timeZone": schedule.time_zone} if zones else {}),
        "concurrencyPolicy": schedule.overlap,
        "startingDeadlineSeconds": schedule.starting_deadline_s,
        "successfulJobsHistoryLimit": schedule.keep_done,
        "failedJobsHistoryLimit": schedule.keep_failed,
        "suspend": schedule.suspend,
        # By these labels runs are found, also such as kubectl create job --from=cronjob/J-task makes
        "jobTemplate": {"metadata": {"labels": whole["metadata"]["labels"]}, "spec": whole["spec"]},
    }
    resource = kinds.CRON_JOB if version == "batch/v1" else kinds.OLD_CRON_JOB
    return manifest(job, resource, names.task(job.name), "task", {"spec": spec}, labels=job.cluster.queue_labels)
