"""The driver of a job in its pod: agents from the API, the status into it, and an end that stays one.

A Job starts its pod again as long as that exits with an error. So a run that has failed for good (a wrong setting, a
worker that is lost over and over) publishes ``failed`` with the reason and exits with 0: started again, it would fail
again, ten times, and its servers and GPUs would be held meanwhile. What may pass (no storage, no API, a defect) is an
error, and the Job tries again.
"""

import itertools
import os
import time

from esmm_dist.errors import EsmmError, RetryError
from esmm_dist.process.retry import retry
from esmm_dist.progress import Progress
from launcher.cluster.api.client import Api
from launcher.cluster.api.connect import connect_pod
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.in_pod.job_objects import JobObjects
from launcher.cluster.in_pod.pod_directory import PodDirectory
from launcher.cluster.in_pod.run_state import RunState
from launcher.driver.config import DriverConfig
from launcher.driver.driver import DriverResult, drive
from launcher.run_files.run_status import RunStatus


def drive_job(config: DriverConfig, progress: Progress) -> DriverResult:
    """Drive a job's run to its end, publish that, and give back its workers and servers.

    Returns:
        How it ended; ``failed`` too, if trying again cannot help.

    Raises:
        RetryError: Trying again may help.
        ConfigError: This is no pod that may ask the API.
    """
    assert config.job is not None
    with connect_pod(config.namespace, folder=config.service_account) as api:
        try:
            return _drive(api, config, progress)
        except ClusterError as e:  # the Job tries again
            raise RetryError(str(e)) from e


def _drive(api: Api, config: DriverConfig, progress: Progress) -> DriverResult:
    assert config.job is not None
    objects = JobObjects(job=config.job, namespace=api.namespace, backend=config.backend)
    state = RunState(api, objects, progress)
    before = _found_end(state)
    if before is not None:
        progress.message(f"The run is {before.state} already; esmm resume {config.job} goes on with it.")
        state.give_back()
        return _result(before)
    error = ""
    try:
        with PodDirectory(api, objects, progress) as directory:
            drive(config, progress, directory=directory, publisher=state)
    except RetryError:
        raise
    except EsmmError as e:
        error = str(e)
        progress.message(f"The run has failed, and trying again would not help: {e}")
    return _result(state.end(_never_begun(config, error)))


def _found_end(state: RunState) -> RunStatus | None:
    return retry(state.find_end, ClusterError, itertools.repeat(3.0, 10), on_failure=_raise_refusal)


def _raise_refusal(error: ClusterError, pause_s: float) -> None:
    if error.http_status is not None:
        raise error


def _never_begun(config: DriverConfig, error: str) -> RunStatus:
    now = time.time()
    return RunStatus(
        run=config.run,
        state="failed",
        written_at=now,
        started_at=now,
        driver_pid=os.getpid(),
        min_workers=config.min_workers,
        max_workers=config.max_workers,
        error=error,
    )


def _result(status: RunStatus) -> DriverResult:
    return DriverResult(
        state=status.state, step=status.step, total_steps=status.total_steps, restarts=dict(status.restarts)
    )
