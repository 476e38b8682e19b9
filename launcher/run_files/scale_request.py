"""``RUN/scale.json``: how many workers ``esmm scale`` asks ``esmm local`` for, and when so many train."""

import json
from dataclasses import asdict, dataclass

from esmm_dist.config import build
from esmm_dist.errors import ConfigError
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


def trains(status: RunStatus, workers: int, *, since: float) -> bool:
    """Return whether exactly so many workers train; one that is still joining does not.

    Args:
        status: newest status
        workers: number of workers that was asked for
        since: time by the driver's clock of the status before the request; one as old tells nothing of it
    """
    training = [each for each in status.workers if each.state == "running" and each.rank is not None]
    return status.written_at > since and status.wanted_workers == workers == status.ranks == len(training)


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
