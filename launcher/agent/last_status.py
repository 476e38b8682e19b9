"""How long an agent that ends stays for its driver to read how the worker ended."""

from launcher.agent.status import AgentStatus

WATCHED_S = 5.0
"""A driver watches if it asked for a status so long ago."""

LAST_STATUS_S = 2.0
"""Seconds that an agent waits for its driver to read the last status."""


class LastStatus:
    """Notes who reads the status, and decides whether the last one was read. Not thread-safe."""

    def __init__(self) -> None:
        self._watched_at = float("-inf")
        self._stay_until = float("-inf")
        self.was_read = False

    def note_read(self, status: AgentStatus, now: float) -> None:
        """Note that a driver has received a status."""
        self._watched_at = now
        self.was_read = self.was_read or (status.draining and not status.running)

    def note_end(self, now: float) -> None:
        """Note that the worker has ended: a driver that watches should read that."""
        if now <= self._watched_at + WATCHED_S:
            self._stay_until = now + LAST_STATUS_S

    def may_end(self, now: float) -> bool:
        """Return whether the agent may end: the end was read, or nobody reads it in time."""
        return self.was_read or now >= self._stay_until
