"""How the parameter servers of a run are, asked over and over."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from esmm_dist.errors import EsmmError
from esmm_dist.parameter_server.client import server_stats
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.parameter_server.stats import ServerStats
from launcher.run_files.run_status import ServerStatus

POLL_S = 1.0
ANSWER_S = 5.0
"""A question that is not answered by then is put again."""

SLOW_S = 3.0
"""Without an answer for longer than this a server is called slow."""


class ServerWatch:
    """Asks each server for its figures, in a thread of its own: one that does not answer holds up no other."""

    def __init__(self, connection: ConnectionConfig, on_restart: Callable[[int], None]) -> None:
        """Prepare to ask; ``start`` begins.

        Args:
            connection: Where they are.
            on_restart: Told the index of a server that has been started again, in a thread of this watch.
        """
        self._on_restart = on_restart
        self._starts = [1] * len(connection.addresses)
        self._configs = [
            replace(connection, servers=address, server_timeout_s=ANSWER_S) for address in connection.addresses
        ]
        now = time.monotonic()
        self._answered = [now] * len(self._configs)
        self._failed = [False] * len(self._configs)
        self._stats: list[ServerStats | None] = [None] * len(self._configs)
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(index,), name=f"server-{index}", daemon=True)
            for index in range(len(self._configs))
        ]

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Ask no more; questions under way are left to themselves."""
        self._stopped.set()

    def read(self) -> list[ServerStatus]:
        """Return how the servers are."""
        return [self._status(index) for index in range(len(self._configs))]

    @property
    def generation(self) -> int:
        """The newest generation of the run."""
        return max((stats.generation for stats in self._stats if stats is not None), default=0)

    def _status(self, index: int) -> ServerStatus:
        stats, silent_s = self._stats[index], time.monotonic() - self._answered[index]
        slow = silent_s > SLOW_S
        return ServerStatus(
            index=index,
            address=self._configs[index].servers,
            state=("lost" if self._failed[index] else "slow") if slow else "serving",
            silent_s=round(silent_s, 1),
            step=stats.step if stats else 0,
            rows=stats.rows if stats else 0,
            resident_bytes=stats.resident_bytes if stats else 0,
            starts=self._starts[index],
        )

    def _watch(self, index: int) -> None:
        while not self._stopped.wait(POLL_S):
            try:
                (stats,) = server_stats(self._configs[index])
            except EsmmError:
                self._failed[index] = True
                continue
            before, self._stats[index] = self._stats[index], stats
            self._answered[index], self._failed[index] = time.monotonic(), False
            if before is not None and stats.uptime_s < before.uptime_s:
                self._starts[index] += 1
                self._on_restart(index)
