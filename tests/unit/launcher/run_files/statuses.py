"""Statuses of elastic runs for tests."""

import time
from typing import Any

from launcher.run_files.run_status import RunStatus, WorkerStatus


def workers_of(ranks: int) -> tuple[WorkerStatus, ...]:
    """Return so many workers that train."""
    return tuple(
        WorkerStatus(name=f"worker-{rank}", state="running", rank=rank, phase="training", step=7)
        for rank in range(ranks)
    )


def make_status(state: str = "running", *, ranks: int = 2, written_ago_s: float = 0.0, **changes: Any) -> RunStatus:
    """Return the status of a run of 1 to 4 workers that its driver wrote some seconds ago."""
    now = time.time()
    values: dict[str, Any] = {
        "run": "run",
        "state": state,
        "written_at": now - written_ago_s,
        "started_at": now - 100,
        "driver_pid": 5,
        "ranks": ranks,
        "max_workers": 4,
        "wanted_workers": ranks,
        "step": 7,
        "total_steps": 100,
        "workers": workers_of(ranks),
    }
    return RunStatus(**{**values, **changes})
