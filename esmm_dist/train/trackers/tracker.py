"""What training asks of a tracker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class TrackedStatus(StrEnum):
    """How a training has ended, by MLflow's names."""

    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"
    """Stopped by a signal; it can be resumed."""


@dataclass(frozen=True, kw_only=True)
class TrackedPoint:
    """Values at a step."""

    step: int
    at: float
    """Seconds since 1970."""
    values: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """What a tracker is told of a run when it begins."""

    name: str
    experiment: str | None
    """None: what the client's own variables say, else ``esmm``."""
    settings: Mapping[str, Any]
    """Settings, by flat dotted name (``input.epochs``)."""
    run_id: str | None = None
    """Id of the run in the service; None: it has none yet."""


class Tracker(Protocol):
    """A client of a service. One thread calls it; each call may block, and raises what the client raises."""

    def begin(self, run: TrackedRun, run_id: str | None) -> str:
        """Begin a run, or go on with one; return its id in the service.

        Args:
            run: name and settings
            run_id: what ``begin`` of an earlier process returned; None: a new run
        """

    def log(self, points: Sequence[TrackedPoint]) -> None:
        """Log values."""

    def end(self, status: TrackedStatus | None) -> None:
        """End the run; None: another process goes on with it."""
