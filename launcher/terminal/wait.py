"""Wait until something is true, and report the state meanwhile."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from esmm_dist.errors import RetryError
from esmm_dist.escaped import one_line
from esmm_dist.progress import Progress

REPEAT_S = 15.0
"""A state that does not change is reported this often: silence would look like a hang."""

State = TypeVar("State")


@dataclass(frozen=True, kw_only=True)
class Wait:
    """How long a command waits, and who hears of it."""

    timeout_s: float
    """Seconds to wait. 0: do not wait."""
    progress: Progress
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    started_at: float = field(default_factory=time.monotonic)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the command began, to a tenth."""
        return round(self.clock() - self.started_at, 1)

    def until(
        self,
        read: Callable[[], State],
        reached: Callable[[State], bool],
        *,
        what: str,
        describe: Callable[[State], str],
        remedy: str,
        every_s: float,
    ) -> State:
        """Read the state again and again until it is reached; return it.

        Args:
            read: returns the state now
            reached: whether to stop waiting; what it raises is passed on
            what: the goal as a clause: ``3 workers train``
            describe: returns the state as one line, which is reported when it changes and every 15 s
            remedy: sentences at the end of the error: what happens now, and what to do
            every_s: seconds between two reads

        Raises:
            RetryError: It was not reached in time.
        """
        start = reported_at = self.clock()
        reported = ""
        while not reached(state := read()):
            now, text = self.clock(), one_line(describe(state))
            if now >= start + self.timeout_s:
                raise RetryError(f"Timed out after {self.timeout_s:g} s waiting until {what} ({text}). {remedy}")
            if text != reported or now >= reported_at + REPEAT_S:
                reported, reported_at = text, now
                self.progress.message(f"{now - start:4.0f} s: {text}")
            self.sleep(every_s)
        return state
