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
        self._weight = 0.0

    def add(self, loss_sums: npt.NDArray[np.float32], weight: float) -> None:
        """Add one step's loss sums float32 [K] over impressions of this sample weight (without weights: so many)."""
        self._sums += loss_sums
        self._weight += weight

    def take(self) -> list[float]:
        """Return the mean losses in nats an impression, and reset the sums."""
        means = (self._sums / (self._weight or 1.0)).tolist()
        self._sums[:] = 0
        self._weight = 0.0
        return [float(mean) for mean in means]

    def to_state(self) -> dict[str, Any]:
        """Return plain values that ``from_state`` reads."""
        return {"sums": self._sums.tolist(), "weight": self._weight}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "LossWindow":
        """Return the window that ``to_state`` described."""
        window = cls(len(state["sums"]))
        window._sums = np.array(state["sums"], dtype=np.float64)
        # Checkpoints from before there were sample weights name impressions
        window._weight = float(state["weight"] if "weight" in state else state["impressions"])
        return window
