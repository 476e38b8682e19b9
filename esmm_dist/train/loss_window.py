"""Mean training losses over a window of steps."""

from typing import Any

import numpy as np
import numpy.typing as npt


class LossWindow:
    """Sums each label's loss over the steps since the last point of the log.

    It is part of a checkpoint, so that a resumed run logs the same points as an uninterrupted one.
    """

    def __init__(self, num_labels: int) -> None:
        """Start empty."""
        self._sums = np.zeros(num_labels, dtype=np.float64)
        self._impressions = 0

    def add(self, loss_sums: npt.NDArray[np.float32], impressions: int) -> None:
        """Add one step's loss sums float32 [K] over its impressions."""
        self._sums += loss_sums
        self._impressions += impressions

    def take(self) -> list[float]:
        """Return the mean losses in nats an impression, and start anew."""
        means = (self._sums / max(self._impressions, 1)).tolist()
        self._sums[:] = 0
        self._impressions = 0
        return [float(mean) for mean in means]

    def to_state(self) -> dict[str, Any]:
        """Return plain values that ``from_state`` reads."""
        return {"sums": self._sums.tolist(), "impressions": self._impressions}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "LossWindow":
        """Return the window that ``to_state`` described."""
        window = cls(len(state["sums"]))
        window._sums = np.array(state["sums"], dtype=np.float64)
        window._impressions = int(state["impressions"])
        return window
