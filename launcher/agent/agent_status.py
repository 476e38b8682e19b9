"""What an agent says about itself and its worker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

AgentState = Literal["warming", "ready", "running", "draining"]


@dataclass(frozen=True, kw_only=True)
class AgentStatus:
    """The state of an agent, and of the run of its worker that goes on or, if none does, ended last."""

    name: str
    """Of the worker."""
    pid: int
    """Process id of the agent."""
    worker_pid: int | None
    """Process id of the worker that runs, else of the one that warms or waits; None between two."""
    state: AgentState
    """``warming``: the worker imports; ``ready``: it waits for a start; ``draining``: the agent is about to end."""
    draining: bool
    id: int | None
    """Of the run; None before the first start. They count up from 1 for each agent process."""
    running: bool
    exit_code: int | None
    """Of the run, once it has ended; minus the signal if one ended it."""
    killed_by: str | None
    """Why the agent killed the run; None if it did not."""
    error: str | None
    """The run's own last words."""
    exit_status_of_error: int | None
    """That belongs to ``error``."""
    warm_error: str | None
    """Why the last attempt to warm a worker failed; None once one is ready."""
    beat_age_s: float | None
    """Seconds since the running worker's last sign of life, of which there is one a second; None if none runs."""
    instance: str = ""
    """Of the agent's process: another one after each start. Its pid will not do: a container's is always the same."""
    standby: Literal["none", "warming", "ready"] = "none"
    """The next worker, while one runs. ``none``: there is none yet, or the agent keeps none."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the run has noted: rank, size, step, ..."""
    events: Sequence[Mapping[str, Any]] = ()
    """Each with ``number`` (counting up over all runs), ``id`` of its run, ``time`` and ``event``."""
