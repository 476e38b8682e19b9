"""How a driver ends the workers of an earlier driver: they save first, if they can."""

from collections.abc import Iterable

from launcher.agent.status import StopMode
from launcher.driver.agent_watch import AgentView

TAKE_OVER_S = 30.0
"""Seconds that workers of an earlier driver have to save and end; then they are killed."""


class TakeOver:
    """Decides whom to stop, and how. Not thread-safe."""

    def __init__(self, now: float) -> None:
        """Begin at ``now``, in monotonic seconds."""
        self._kill_at = now + TAKE_OVER_S
        self._asked: set[tuple[str, int]] = set()

    @property
    def num_workers(self) -> int:
        """Number of workers that were asked to end."""
        return len(self._asked)

    def stops(self, views: Iterable[AgentView], now: float) -> list[tuple[AgentView, StopMode]] | None:
        """Return the workers to stop now and how: each is asked once, and killed when its time is over.

        None: none runs any more.
        """
        running = [(view, view.running.id) for view in views if view.running is not None]
        if not running:
            return None
        is_late = now >= self._kill_at
        found: list[tuple[AgentView, StopMode]] = []
        for view, run_id in running:
            if run_id is not None and (is_late or (view.name, run_id) not in self._asked):
                self._asked.add((view.name, run_id))
                found.append((view, "kill" if is_late else "finish"))
        return found
