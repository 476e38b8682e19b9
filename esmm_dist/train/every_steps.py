"""A period in steps: when something that happens again and again is due."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EverySteps:
    """Every ``period`` steps, at the multiples of the period: evaluation, checkpoints, eviction, points of the log."""

    period: int
    """Steps, 0 or more. 0: never."""

    def next_after(self, step: int) -> int | None:
        """Return the first step after ``step`` at which it is due; None if it never is."""
        return (step // self.period + 1) * self.period if self.period else None

    def is_due(self, step: int) -> bool:
        """Return whether it is due after ``step`` steps; never before the first step."""
        return self.period > 0 and step > 0 and step % self.period == 0
