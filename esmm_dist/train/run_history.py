"""What happened to a run and when, ``RUN/history.jsonl``: starts, restarts, changes of ranks, checkpoints, ends.

Elastic runs have ``events.jsonl`` of their driver beside it, which knows of losses and joins.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from esmm_dist.storage.folder import Folder

HISTORY_NAME = "history.jsonl"


@dataclass(frozen=True, kw_only=True)
class RunEvent:
    """One event."""

    at: float
    """Seconds since 1970."""
    event: str
    """``start``, ``resume``, ``ranks`` (their number changed), ``checkpoint``, ``evaluation``, ``stop`` (resumable),
    ``done``, ``failed``; of an elastic run also what its driver writes."""
    step: int | None
    details: Mapping[str, Any] = field(default_factory=dict)
    """Ranks, split, signal, error, ...: plain values."""


def read_history(run: Folder) -> list[RunEvent]:
    """Return the events of a run in the order of their times; none of an older run.

    Raises:
        StorageError: The storage refuses.
    """
    raise NotImplementedError
