"""Step and speed of a training, as its workers report them, and whether it still gets on."""

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

RATE_S = 10.0
"""Seconds over which the speed is measured."""

MOST_LOSSES = 6
"""Losses of one worker in a row without a step of anybody between them: then something kills each one that starts."""


class TrainingProgress:
    """Follows the reports of rank 0, and counts the losses of workers since its last step. Not thread-safe."""

    def __init__(self) -> None:
        self.step = self.total_steps = 0
        self._best_step = 0
        self._losses: Counter[str] = Counter()
        self._impressions: deque[tuple[float, int]] = deque()  # (seconds, impressions so far), oldest first

    def update(self, facts: Mapping[str, Any], now: float) -> None:
        """Take the facts that one worker has reported.

        Args:
            facts: such as rank, step, total_steps, impressions
            now: monotonic seconds
        """
        self.total_steps = int(facts.get("total_steps", self.total_steps))
        if facts.get("rank") != 0:
            return
        self.step = int(facts.get("step", self.step) or 0)
        if "impressions" in facts:
            self._count(int(facts["impressions"]), now)
        if self.step > self._best_step:  # one that the training had not made before
            self._best_step = self.step
            self._losses.clear()

    def note_loss(self, name: str, reason: str) -> str:
        """Count the loss of a worker; return why the training must give up, empty if it need not."""
        self._losses[name] += 1
        if self._losses[name] < MOST_LOSSES:
            return ""
        return f"{name} was lost {MOST_LOSSES} times without a step in between. The last reason: {reason}"

    @property
    def impressions_per_second(self) -> float:
        """Speed over the last ``RATE_S`` seconds; 0 until it is known."""
        if len(self._impressions) < 2:
            return 0.0
        (since, before), (now, impressions) = self._impressions[0], self._impressions[-1]
        return (impressions - before) / max(now - since, 1e-6)

    def _count(self, impressions: int, now: float) -> None:
        if self._impressions and impressions < self._impressions[-1][1]:
            self._impressions.clear()  # another process counts, or it counts anew
        self._impressions.append((now, impressions))
        while now - self._impressions[0][0] > RATE_S:
            self._impressions.popleft()
