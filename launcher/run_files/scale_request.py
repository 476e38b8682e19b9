"""``RUN/scale.json``: how many workers ``esmm scale`` asks ``esmm local`` for, and when so many train."""

import json
from dataclasses import asdict, dataclass

from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.reporter import CONNECTED_PHASES
from esmm_dist.storage.folder import Folder
from launcher.command import Outcome
from launcher.run_files.run_status import RunStatus

SCALE_NAME = "scale.json"


@dataclass(frozen=True, kw_only=True)
class ScaleRequest:
    """A number of workers that a user asks for."""

    workers: int
    id: str
    """Another one each time, so that the same number asked for again is a new request."""


def write_scale_request(run: Folder, request: ScaleRequest) -> None:
    """Leave a request in the run's folder.

    Raises:
        StorageError: The storage refuses.
    """
    run.write_bytes(SCALE_NAME, json.dumps(asdict(request)).encode() + b"\n")


def read_scale_request(run: Folder) -> ScaleRequest | None:
    """Read the request in the run's folder; None if there is none, or it is damaged.

    Raises:
        StorageError: The storage refuses.
    """
    try:
        found = json.loads(run.read_bytes(SCALE_NAME))
        return build(ScaleRequest, found, where=SCALE_NAME) if isinstance(found, dict) else None
    except (FileNotFoundError, ValueError, ConfigError):
        return None


def check_scale_workers(status: RunStatus, count: int, *, stale: bool) -> None:
    """Check that an elastic run can have so many workers.

    Args:
        status: newest status of the run
        count: number of workers that is asked for
        stale: whether the run should be going on and does not

    Raises:
        ConfigError: It has ended, its driver is lost, or the number is out of its bounds.
    """
    if status.ended:
        raise ConfigError(f"{status.run} has ended ({status.state}); there is nothing to scale.")
    if stale:
        raise ConfigError(
            f"{status.run} is not running: its driver has written nothing for {status.age_s():.0f} s. esmm resume "
            f"{status.run} goes on with it."
        )
    if not status.min_workers <= count <= status.max_workers:
        raise ConfigError(
            f"workers is {count}, but this run was started with --min-workers {status.min_workers} --max-workers "
            f"{status.max_workers}. Set a number between them."
        )


def trains(status: RunStatus, workers: int, *, since: float) -> bool:
    """Return whether exactly so many workers train; one that is still joining does not.

    Args:
        status: newest status
        workers: number of workers that was asked for
        since: time by the driver's clock of the status before the request; one as old tells nothing of it
    """
    training = [each for each in status.workers if each.state == "running" and each.phase in CONNECTED_PHASES]
    return status.written_at > since and status.wanted_workers == workers == status.ranks == len(training)


def worker_states(status: RunStatus) -> str:
    """Return what each worker does, on one line."""
    return ", ".join(f"{each.name} {each.phase if each.state == 'running' else each.state}" for each in status.workers)


def scale_outcome(workers: int, *, before: int, seconds: float | None) -> Outcome:
    """Return what ``esmm scale`` prints.

    Args:
        workers: number of workers that was asked for
        before: number of ranks before the request
        seconds: time until so many trained. None: nobody waited for it
    """
    line = (
        f"Asked for {workers} workers (before: {before})."
        if seconds is None
        else f"{workers} workers train (before: {before}), after {seconds:.1f} s."
    )
    return Outcome(lines=[line], result={"workers": workers, "before": before, "seconds": seconds or 0.0})
