"""What a process of a training has in memory, and keeps while the ranks around it change."""

import copy
from typing import Any

import numpy as np
import numpy.typing as npt

from esmm_dist.train.dense_side import DenseSide
from esmm_dist.train.loss_window import LossWindow
from esmm_dist.train.recovery import RankStanding


class Standing:
    """How far a training is in this process: dense weights, and all that goes with their step.

    Changed by ``advance`` alone while training runs, so that it always says what the weights contain.
    """

    def __init__(self, dense: DenseSide, num_labels: int) -> None:
        """Begin with the start values."""
        self.dense = dense
        self.step: int | None = None
        """Steps that the weights contain; None until they come from a checkpoint, another rank or the seed."""
        self.window = LossWindow(num_labels)
        """Losses since the last point of the log."""
        self.evaluations: list[dict[str, Any]] = []
        """Those that were made, as plain values, in the order of their steps."""
        self.evicted_step = 0
        """The step after which rows were evicted last."""
        self._window_before: LossWindow | None = None

    @property
    def steps(self) -> int:
        """Steps that the weights contain, once they have come from somewhere."""
        assert self.step is not None
        return self.step

    @property
    def rank_standing(self) -> RankStanding:
        """What the others must know to find a common step."""
        return RankStanding(step=self.step, undoable=self._window_before is not None)

    def begin(self, step: int) -> None:
        """Say that the weights have been set to those after ``step``."""
        self.step, self._window_before = step, None

    def forget(self) -> None:
        """Say that the weights are about to be set, and mean nothing until then."""
        self.step, self._window_before = None, None

    def advance(self, loss_sums: npt.NDArray[np.float32], weight: float) -> None:
        """Say that the weights contain one more step, with these losses, float32 [K], of this sample weight."""
        self._window_before = copy.deepcopy(self.window)
        self.window.add(loss_sums, weight)
        self.step = self.steps + 1

    def undo(self) -> None:
        """Take the last step out of the weights and the losses."""
        assert self._window_before is not None
        self.dense.step.undo()
        self.window, self._window_before = self._window_before, None
        self.step = self.steps - 1

    def to_state(self) -> dict[str, Any]:
        """Return what another rank needs besides the weights, as plain values."""
        return {
            "loss_window": self.window.to_state(),
            "evaluations": self.evaluations,
            "evicted_step": self.evicted_step,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what ``to_state`` returned."""
        self.window = LossWindow.from_state(state["loss_window"])
        self.evaluations = list(state["evaluations"])
        self.evicted_step = int(state["evicted_step"])
