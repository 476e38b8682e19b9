"""The state of an elastic run, ``RUN/status.json``: written by its driver, read by every other program."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.storage.folder import Folder

STATUS_NAME = "status.json"
EVENTS_NAME = "events.jsonl"

STALE_S = 15.0
"""A driver writes the status every second or so; one that has not for so long has ended or hangs."""

_NO_TIME = 1e11
"""Seconds since 1970 that cannot be the time of a run: the year 5138."""

ENDED = ("done", "stopped", "failed")


@dataclass(frozen=True, kw_only=True)
class WorkerStatus:
    """One worker."""

    name: str
    state: str
    """``warming``, ``ready`` (waits for a place), ``running``, ``stalled``, ``draining``; ``silent``: its agent does
    not answer."""
    pid: int | None = None
    """Process id on its host, of a worker that runs."""
    rank: int | None = None
    phase: str = ""
    """``training``, ``evaluating``, ``saving``, ``meeting``."""
    step: int | None = None
    beat_age_s: float | None = None
    """Seconds since its last heartbeat; there is one a second."""
    starts: int = 0


@dataclass(frozen=True, kw_only=True)
class ServerStatus:
    """One parameter server."""

    index: int
    address: str
    state: str
    """``serving``; ``slow`` (its answer is due for more than 2 s); ``lost`` (it cannot be reached)."""
    silent_s: float = 0.0
    """Seconds since its last answer."""
    step: int = 0
    rows: int = 0
    resident_bytes: int = 0
    starts: int = 1


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """An elastic run, as its driver last knew it."""

    run: str
    state: str
    """``starting``, ``running``, ``stopping``; ``done``, ``stopped`` (resumable), ``failed``."""
    written_at: float
    """Seconds since 1970."""
    started_at: float
    driver_pid: int
    generation: int = 0
    """Generation of the run on its servers: grows each time that ranks or servers change."""
    ranks: int = 0
    min_workers: int = 1
    max_workers: int = 1
    wanted_workers: int = 1
    step: int = 0
    total_steps: int = 0
    impressions_per_second: float = 0.0
    """Speed of all ranks over the last ten seconds or so."""
    checkpoint_step: int | None = None
    checkpoint_at: float | None = None
    """Seconds since 1970."""
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    """The newest evaluation: ``step``, ``split``, and in ``auc`` the AUC of each task and its standard error (None: the
    labels are of one class). Empty: none yet."""
    restarts: Mapping[str, int] = field(default_factory=dict)
    """Number of times that each happened: ``worker lost``, ``worker stalled``, ``server lost``, ``driver lost``, ..."""
    undone_steps: int = 0
    """Steps that were undone and made again, which costs their time and nothing else."""
    lost_sparse_steps: int = 0
    """In ``bounded`` and ``async``: steps whose updates of rows were lost, in part or whole."""
    repeated_sparse_steps: int = 0
    """In ``bounded`` and ``async``: steps whose updates of rows were made twice, in part or whole."""
    rolled_back_steps: int = 0
    """Steps that were made again from a checkpoint."""
    error: str = ""
    """Why it failed."""
    workers: Sequence[WorkerStatus] = ()
    servers: Sequence[ServerStatus] = ()

    def __post_init__(self) -> None:
        for name in ("written_at", "started_at", "checkpoint_at"):
            if not 0 <= (getattr(self, name) or 0.0) < _NO_TIME:
                raise ValueError(f"{name} is {getattr(self, name)}, which is not a time in seconds since 1970.")
        if self.evaluation and not _is_evaluation(self.evaluation):
            raise ValueError(f"evaluation is {dict(self.evaluation)}. It should have step, split and auc.")

    @property
    def ended(self) -> bool:
        """Whether the run has come to an end of its own."""
        return self.state in ENDED

    def age_s(self, now: float | None = None) -> float:
        """Seconds since it was written."""
        return max(0.0, (time.time() if now is None else now) - self.written_at)

    def to_json(self) -> str:
        """Return it as a JSON object on one line."""
        return json.dumps(asdict(self))


def _is_evaluation(found: Mapping[str, Any]) -> bool:
    auc = found.get("auc")
    return (
        isinstance(found.get("step"), int)
        and isinstance(found.get("split"), str)
        and isinstance(auc, Mapping)
        and all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in auc.values())
    )


def write_status(run: Folder, status: RunStatus) -> None:
    """Write the status into the run's folder.

    Raises:
        StorageError: The storage refuses.
    """
    run.write_bytes(STATUS_NAME, status.to_json().encode() + b"\n")


def read_status(run: Folder) -> RunStatus:
    """Read the status of a run.

    Raises:
        ConfigError: The run has no status: it was never elastic, or does not exist.
        StorageError: The storage refuses.
    """
    try:
        data = run.read_bytes(STATUS_NAME)
    except FileNotFoundError as e:
        raise ConfigError(
            f"{run} has no {STATUS_NAME}: it is not an elastic run. Start one with esmm local --min-workers 1 "
            "--max-workers 4 ..., or look at another run with esmm checkpoints."
        ) from e
    try:
        return parse_status(data)
    except ConfigError as e:
        raise ConfigError(f"{run}/{e} A running driver writes a new one each second.") from e


def parse_status(data: bytes) -> RunStatus:
    """Return the status that was written as JSON.

    Raises:
        ConfigError: It is damaged.
    """
    try:
        found = _object(data)
        workers = tuple(build(WorkerStatus, dict(each), where=STATUS_NAME) for each in found.pop("workers", ()))
        servers = tuple(build(ServerStatus, dict(each), where=STATUS_NAME) for each in found.pop("servers", ()))
        status = build(RunStatus, found, where=STATUS_NAME)
    except (ValueError, TypeError) as e:
        raise ConfigError(f"{STATUS_NAME} is damaged ({e}).") from e
    return replace(status, workers=workers, servers=servers)


def _object(data: bytes) -> dict[str, Any]:
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")
    return found
