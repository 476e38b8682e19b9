"""The state of a job for a reader, and for a program."""

from typing import Any

from esmm_dist.train.data_sets import data_set_lines
from launcher.run_files.job import THIS_MACHINE, JobStatus
from launcher.run_files.plain_run import progress_lines
from launcher.run_files.schedule_status import schedule_lines
from launcher.run_files.serving_status import serving_lines
from launcher.run_files.status_lines import status_lines
from launcher.terminal.json_line import json_value

LOCAL_REMEDY = "If esmm local has ended too, the same command goes on from the last checkpoint"
CLUSTER_REMEDY = "The Job starts it again; if it does not, see below, and esmm logs JOB --driver"


def job_lines(status: JobStatus, now: float | None = None) -> list[str]:
    """Return the state of a job for a reader.

    Args:
        status: the state
        now: seconds since 1970. None: now
    """
    local = status.where == THIS_MACHINE
    remedy = (LOCAL_REMEDY if local else CLUSTER_REMEDY.replace("JOB", status.job)) if status.stale else None
    run_lines = status_lines(status.run, now, remedy=remedy) if status.run is not None else []
    data_sets = data_set_lines(status.data_sets)
    if local and status.run is not None:
        return [*run_lines, *data_sets]
    if local:
        progress = progress_lines(status.progress) if status.progress is not None else []
        return [f"{status.job}: {status.state} (not elastic)", *progress, *data_sets]
    lines = [f"Job {status.job} in {status.where}: {status.state}"]
    if status.pods:
        lines.append("pods: " + ", ".join(f"{kind} {text}" for kind, text in status.pods.items()))
    lines += [f"trouble: {each}" for each in status.troubles]
    if status.schedule is not None:
        lines += schedule_lines(status.schedule)
    if status.serving is not None:
        return lines + serving_lines(status.serving)
    if status.run is not None:
        lines += ["", *run_lines]
    elif status.state == "pending":
        lines.append("Its driver has published nothing yet.")
    return lines


def job_result(status: JobStatus) -> dict[str, Any]:
    """Return the state of a job for a program; of an elastic run of this machine it is the driver's status."""
    if status.where == THIS_MACHINE and status.run is not None:
        return {**json_value(status.run), "stale": status.stale, "data_sets": json_value(status.data_sets)}
    return dict(json_value(status))
