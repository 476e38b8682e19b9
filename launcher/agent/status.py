"""What an agent reports about itself and its worker, as ``GET /status`` answers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

AgentState = Literal["warming", "ready", "running", "draining"]

StopMode = Literal["kill", "leave", "finish"]
"""How a run is ended, see ``Agent.stop``."""


@dataclass(frozen=True, kw_only=True)
class WorkerRun:
    """One run of the worker: from its start until another one."""

    id: int | None = None
    """Counts up from 1 for each agent process; None before the first start."""
    exit_code: int | None = None
    """Exit status once the run has ended; minus the signal if one ended it."""
    killed_by: str | None = None
    """Why the agent killed the run; None if it did not."""
    error: str | None = None
    """The run's own last words."""
    exit_status_of_error: int | None = None
    """Exit status that belongs to ``error``."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the run has reported: rank, size, step, ..."""


@dataclass(frozen=True, kw_only=True)
class AgentStatus(WorkerRun):
    """State of an agent, and of the run that goes on or, if none does, ended last."""

    name: str
    """Name of the worker."""
    pid: int
    """Process id of the agent."""
    instance: str = ""
    """Drawn at each start of the agent's process. Its pid will not do: a container's is always the same."""
    state: AgentState
    """``warming``: the worker imports; ``ready``: it waits for a start; ``draining``: the agent is about to end."""
    draining: bool = False
    """Whether the agent is about to end."""
    running: bool = False
    """Whether the run goes on."""
    worker_pid: int | None = None
    """Process id of the worker that runs, else of the one that warms or waits; None between two."""
    beat_age_s: float | None = None
    """Seconds since the running worker's last heartbeat, of which there is one a second; None if none runs."""
    warm_error: str | None = None
    """Why the last attempt to warm a worker failed; None once one is ready."""
    standby: Literal["none", "warming", "ready"] = "none"
    """The next worker, while one runs. ``none``: there is none yet, or the agent keeps none."""
    events: Sequence[Mapping[str, Any]] = ()
    """Each with ``number`` (counting up over all runs), ``id`` of its run, ``time`` and ``event``."""
