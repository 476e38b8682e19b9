"""The parameter servers of a run, each as it answered last."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from esmm_dist.errors import EsmmError
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.parameter_server.read_stats import server_stats
from esmm_dist.parameter_server.stats import ServerStats
from launcher.run_files.run_status import ServerStatus

POLL_S = 1.0
ANSWER_S = 5.0
"""Seconds after which a server that does not answer is asked again."""

SLOW_S = 3.0
"""Seconds without an answer after which a server is called slow, or lost if it cannot be reached."""


@dataclass(kw_only=True)
class ServerView:
    """One server, as it answered last."""

    index: int
    address: str
    answered_at: float
    """Monotonic seconds."""
    stats: ServerStats | None = None
    has_failed: bool = False
    """Whether the last call failed."""
    starts: int = 1

    def note_answer(self, stats: ServerStats, now: float) -> bool:
        """Take an answer; return whether the server was started again since the one before."""
        was_restarted = self.stats is not None and stats.uptime_s < self.stats.uptime_s
        self.starts += was_restarted
        self.stats, self.answered_at, self.has_failed = stats, now, False
        return was_restarted

    def status(self, now: float) -> ServerStatus:
        """Return the server's part of the run's status."""
        silent_s = now - self.answered_at
        late = "lost" if self.has_failed else "slow"
        found = ServerStatus(
            index=self.index,
            address=self.address,
            state=late if silent_s > SLOW_S else "serving",
            silent_s=round(silent_s, 1),
            starts=self.starts,
        )
        if (stats := self.stats) is None:
            return found
        return replace(found, step=stats.step, rows=stats.rows, resident_bytes=stats.resident_bytes)


class ServerWatch:
    """Asks each server for its figures, in a thread of its own: one that does not answer holds up no other."""

    def __init__(self, connection: ConnectionConfig, on_restart: Callable[[int], None]) -> None:
        """Prepare to ask; ``start`` begins.

        Args:
            connection: addresses of the servers, and how to connect
            on_restart: receives the index of a server that was started again, in a thread of this watch
        """
        self._connection, self._on_restart = connection, on_restart
        self._views = [
            ServerView(index=index, address=address, answered_at=time.monotonic())
            for index, address in enumerate(connection.addresses)
        ]
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to ask."""
        for view in self._views:
            threading.Thread(target=self._watch, args=(view,), name=f"server-{view.index}", daemon=True).start()

    def close(self) -> None:
        """Ask no more; calls under way end by themselves."""
        self._stopped.set()

    def read(self) -> list[ServerStatus]:
        """Return how the servers are."""
        return [view.status(time.monotonic()) for view in self._views]

    @property
    def generation(self) -> int:
        """The newest generation of the run; 0 if no server has answered yet."""
        return max((view.stats.generation for view in self._views if view.stats is not None), default=0)

    def ask(self, view: ServerView) -> None:
        """Ask one server for its figures."""
        try:
            (stats,) = server_stats(replace(self._connection, servers=view.address, server_timeout_s=ANSWER_S))
        except EsmmError:
            view.has_failed = True
            return
        if view.note_answer(stats, time.monotonic()):
            self._on_restart(view.index)

    def _watch(self, view: ServerView) -> None:
        while not self._stopped.wait(POLL_S):
            self.ask(view)
