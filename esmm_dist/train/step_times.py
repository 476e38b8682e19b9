"""Where the time of steps goes: laps of one clock, added up until they are taken."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class StepPart(StrEnum):
    """What a step does with its time."""

    INPUT = "input_s"
    PULL = "pull_s"
    STEP = "step_s"
    PUSH = "push_s"
    OTHER = "other_s"
    """Logs, and what else happens between two steps."""


@dataclass(frozen=True, kw_only=True)
class TimedSteps:
    """The steps since the last time that they were taken."""

    steps: int
    impressions: int
    """Over all ranks."""
    parts: dict[StepPart, float]
    """Seconds."""

    @property
    def seconds(self) -> float:
        """All of them."""
        return sum(self.parts.values())


class StepTimes:
    """A clock that the step loop stops at the end of each part. A lap costs less than a microsecond."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Count nothing yet.

        Args:
            clock: returns seconds
        """
        self._clock = clock
        self._at = 0.0
        self._reset()

    def start(self) -> None:
        """Begin a lap; what came since the last one (an evaluation, a checkpoint) does not count."""
        self._at = self._clock()

    def lap(self, part: StepPart) -> None:
        """End a lap, and begin the next one."""
        now = self._clock()
        self._parts[part] += now - self._at
        self._at = now

    def lap_of_input(self, pull_s: float) -> None:
        """End the wait for a batch, of which the pull of its rows is to blame for up to ``pull_s`` seconds."""
        before = self._at
        self.lap(StepPart.INPUT)
        pulled = min(pull_s, self._at - before)
        self._parts[StepPart.INPUT] -= pulled
        self._parts[StepPart.PULL] += pulled

    def count(self, impressions: int) -> None:
        """Count a step that has been made."""
        self._steps += 1
        self._impressions += impressions

    def take(self) -> TimedSteps | None:
        """Return the steps since the last time, and forget them; None if there are none."""
        if not self._steps:
            return None
        taken = TimedSteps(steps=self._steps, impressions=self._impressions, parts=self._parts)
        self._reset()
        return taken

    def _reset(self) -> None:
        self._steps = self._impressions = 0
        self._parts = dict.fromkeys(StepPart, 0.0)
