"""What a process of a training has in memory, and keeps while the ranks around it change."""

import copy
from dataclasses import dataclass
from typing import Any

from esmm_dist.arrays import F32
from esmm_dist.calibration.calibration import Calibration
from esmm_dist.config import build, to_mapping
from esmm_dist.train.compiled_model import CompiledModel
from esmm_dist.train.data_sets import DataSetRecord
from esmm_dist.train.loss_window import LossWindow
from esmm_dist.train.publisher import ModelPublisher
from esmm_dist.train.resume_point import RankStep


class TrainState:
    """The dense weights of a training in this process, and all that goes with their step.

    Changed by ``advance`` alone while training runs, so that it always says what the weights contain.
    """

    def __init__(self, compiled: CompiledModel, num_labels: int) -> None:
        """Begin with the start values."""
        self.compiled = compiled
        """Model and optimizer, whose variables are the dense weights and the optimizer's state."""
        self.step: int | None = None
        """Steps that the weights contain; None until they come from a checkpoint, another rank or the seed."""
        self.window = LossWindow(num_labels)
        """Losses since the last point of the log."""
        self.evaluations: list[dict[str, Any]] = []
        """Evaluations that were made, as plain values, in the order of their steps."""
        self.calibration: Calibration | None = None
        """The newest calibration, which holds for the weights of its own step alone; None if there was none."""
        self.evicted_step = 0
        """Step after which rows were evicted last."""
        self.first: dict[str, Any] | None = None
        """Metrics of the data set's train split before it was learned from, as plain values; None: not evaluated."""
        self._window_before: LossWindow | None = None

    @property
    def steps(self) -> int:
        """Steps that the weights contain, once they have come from somewhere."""
        assert self.step is not None
        return self.step

    @property
    def calibration_of_step(self) -> Calibration | None:
        """What was fitted on the logits of the weights as they are; None if nothing was."""
        return self.calibration if self.calibration is not None and self.calibration.step == self.step else None

    @property
    def rank_step(self) -> RankStep:
        """What the other ranks must know to find a common resume point."""
        return RankStep(step=self.step, undoable=self._window_before is not None)

    def begin(self, step: int) -> None:
        """Say that the weights have been set to those after ``step``."""
        self.step, self._window_before = step, None

    def forget(self) -> None:
        """Say that the weights are about to be set, and mean nothing until then."""
        self.step, self._window_before = None, None

    def advance(self, loss_sums: F32, weight: float) -> None:
        """Say that the weights contain one more step, with these losses, float32 [K], of this sample weight."""
        self._window_before = copy.deepcopy(self.window)
        self.window.add(loss_sums, weight)
        self.step = self.steps + 1

    def undo(self) -> None:
        """Take the last step out of the weights and the losses."""
        assert self._window_before is not None
        self.compiled.step.undo()
        self.window, self._window_before = self._window_before, None
        self.step = self.steps - 1

    def to_mapping(self) -> dict[str, Any]:
        """Return what another rank needs besides the weights, as plain values."""
        return {
            "loss_window": self.window.to_state(),
            "evaluations": self.evaluations,
            "calibration": to_mapping(self.calibration) if self.calibration is not None else None,
            "evicted_step": self.evicted_step,
            "first": self.first,
        }

    def load_mapping(self, mapping: dict[str, Any]) -> None:
        """Take over what ``to_mapping`` returned."""
        self.window = LossWindow.from_state(mapping["loss_window"])
        self.evaluations = list(mapping["evaluations"])
        calibration = mapping["calibration"]
        self.calibration = build(Calibration, calibration, where="calibration") if calibration is not None else None
        self.evicted_step = int(mapping["evicted_step"])
        self.first = mapping.get("first")


@dataclass(kw_only=True)
class ProcessMemory:
    """What a process keeps from one trainer to the next, when the ranks have changed in between."""

    state: TrainState | None = None
    data_sets: tuple[DataSetRecord, ...] = ()
    """Data sets of the run, the one that is learned from last; empty: not known yet."""
    impressions: int = 0
    """Impressions trained on since this process began, over all ranks; without those of an interrupted stretch."""
    seconds: float = 0.0
    """Time that those impressions took."""
    publisher: ModelPublisher | None = None
    """What publishes for the ranks, while this process is rank 0; None: it is not, or nothing is published."""

    @property
    def step(self) -> int | None:
        """Steps that the weights contain; None if there are none yet, or if they were being set."""
        return self.state.step if self.state is not None else None
