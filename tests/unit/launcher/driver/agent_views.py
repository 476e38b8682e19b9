"""Agents as a driver sees them, made by the test, and one that remembers what it was asked."""

from collections.abc import Mapping
from typing import Any

from esmm_dist.errors import RetryError
from launcher.agent.client import AgentClient
from launcher.agent.status import AgentStatus
from launcher.driver.agent_watch import AgentView

NOW = 1000.0
"""Monotonic seconds at which every view of these was answered."""


class FakeClient(AgentClient):
    """An agent that starts and stops as it is asked, on paper."""

    def __init__(self, *, is_away: bool = False) -> None:
        super().__init__("127.0.0.1:1", "0123456789abcdef")
        self.is_away = is_away
        self.run_id = 0
        self.environments: list[dict[str, str]] = []
        self.stops: list[tuple[int, str, str]] = []

    def start(self, environment: Mapping[str, str]) -> int:
        if self.is_away:
            raise RetryError("no reply")
        self.run_id += 1
        self.environments.append(dict(environment))
        return self.run_id

    def stop(self, run_id: int, how: str, reason: str) -> bool:
        if self.is_away:
            raise RetryError("no reply")
        self.stops.append((run_id, how, reason))
        return True


def status_of(name: str = "worker-0", **changes: Any) -> AgentStatus:
    """Return the status of an agent whose first worker trains, with changes."""
    values = {"state": "running", "running": True, "id": 1, "worker_pid": 11, "beat_age_s": 0.1}
    return AgentStatus(name=name, pid=10, **{**values, **changes})


def view_of(name: str = "worker-0", *, answered_at: float = NOW, **changes: Any) -> AgentView:
    """Return the view of an agent whose first worker trains, with changes of its status."""
    status = status_of(name, **changes)
    return AgentView(name=name, client=FakeClient(), status=status, answered_at=answered_at)


def ready_view(name: str, *, answered_at: float = NOW, **changes: Any) -> AgentView:
    """Return the view of an agent with a worker that waits for a start."""
    changes = {"state": "ready", "running": False, "id": None, "beat_age_s": None} | changes
    return view_of(name, answered_at=answered_at, **changes)
