"""Waits of a command that take no time: something happens each time that it sleeps."""

from collections.abc import Callable

from esmm_dist.progress import NoProgress, Progress
from launcher.terminal.wait import Wait


class Steps:
    """What happens while a command waits, one thing at each of its sleeps."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._left = list(steps)

    @property
    def all_done(self) -> bool:
        return not self._left

    def wait(self, timeout_s: float = 60.0, progress: Progress | None = None) -> Wait:
        """Return a wait in which they happen."""
        return Wait(timeout_s=timeout_s, progress=progress or NoProgress(), sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        if self._left:
            self._left.pop(0)()


def waiting(*steps: Callable[[], object], timeout_s: float = 60.0) -> Wait:
    """Return a wait in which some things happen."""
    return Steps(*steps).wait(timeout_s)
