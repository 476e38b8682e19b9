"""A process that is started again when it ends, but not for ever."""

import time
from collections.abc import Callable

from launcher.processes.child import Child
from launcher.processes.ending import Ending

QUICK_S = 10.0
MOST_QUICK_ENDS = 5
"""A process that ends so many times in a row within ``QUICK_S`` of its start will not run."""

PAUSE_S = 1.0
"""Seconds before a process that ended quickly is started again."""


class RestartedProcess:
    """One place that a process holds, and after its end the next one.

    Args:
        index: number of the process among its kind
        is_server: whether it is a parameter server
        clock: returns the time in seconds
    """

    def __init__(self, index: int = 0, *, is_server: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.index, self.is_server = index, is_server
        self.wanted = True
        """False: it may end, and is not started again."""
        self.child: Child | None = None
        """The process; None before its first start, and once its end was noticed."""
        self._clock = clock
        self._started_at = self._due_at = float("-inf")
        self._quick_ends = 0

    @property
    def running(self) -> bool:
        """Whether a process holds the place now."""
        return self.child is not None and self.child.running

    @property
    def ended(self) -> bool:
        """Whether its process has ended, and ``note_end`` was not called yet."""
        return self.child is not None and not self.child.running

    @property
    def due(self) -> bool:
        """Whether it is to be started now."""
        return self.wanted and self.child is None and self._clock() >= self._due_at

    @property
    def will_not_run(self) -> bool:
        """Whether it has ended too often to be started again."""
        return self._quick_ends >= MOST_QUICK_ENDS

    @property
    def age_s(self) -> float:
        """Seconds since its last start."""
        return self._clock() - self._started_at

    def note_start(self, child: Child) -> None:
        """Note the process that holds the place from now on."""
        self.child, self._started_at = child, self._clock()

    def note_end(self) -> Ending:
        """Note that its process has ended, and when it is to be started again; return how it ended."""
        assert self.child is not None
        ending, quick = self.child.ending(), self.age_s < QUICK_S
        self.child = None
        self._quick_ends = self._quick_ends + 1 if quick else 0
        self._due_at = self._clock() + (PAUSE_S if quick else 0.0)
        return ending
