"""What a process has in memory: steps, losses, and one undo."""

import numpy as np
import pytest

from esmm_dist.calibration.calibration import Calibration
from esmm_dist.train.resume_point import RankStep
from esmm_dist.train.train_state import ProcessMemory, TrainState
from tests.unit.train.stand_ins import StandInModel


def state_at(step: int) -> TrainState:
    state = TrainState(StandInModel(), 2)  # type: ignore[arg-type]
    state.begin(step)
    return state


def losses(first: float, second: float) -> np.ndarray:
    return np.array([first, second], dtype=np.float32)


def test_a_new_process_has_no_step_and_cannot_undo_one():
    state = TrainState(StandInModel(), 2)  # type: ignore[arg-type]
    assert state.rank_step == RankStep(step=None, undoable=False)
    with pytest.raises(AssertionError):
        _ = state.steps


def test_a_step_can_be_undone_once_with_its_losses():
    state = state_at(7)
    assert state.rank_step == RankStep(step=7, undoable=False)
    state.advance(losses(2, 4), 2.0)
    state.advance(losses(6, 8), 2.0)
    assert state.rank_step == RankStep(step=9, undoable=True)
    state.undo()
    assert state.rank_step == RankStep(step=8, undoable=False)
    assert state.compiled.undone == 1  # type: ignore[attr-defined]
    assert state.window.take() == [1.0, 2.0]  # those of step 8 alone: 2 / 2 and 4 / 2
    with pytest.raises(AssertionError):
        state.undo()


def test_a_state_that_is_about_to_be_set_counts_for_nothing():
    state = state_at(7)
    state.advance(losses(1, 1), 1.0)
    state.forget()
    assert state.rank_step == RankStep(step=None, undoable=False)


def test_a_calibration_holds_for_the_weights_of_its_own_step_alone():
    state = state_at(7)
    assert state.calibration_of_step is None
    state.calibration = Calibration(step=7, split="validation", method="platt", labels=())
    assert state.calibration_of_step == state.calibration
    state.advance(losses(1, 1), 1.0)
    assert state.calibration_of_step is None


def test_another_rank_takes_over_losses_evaluations_the_calibration_and_the_last_eviction():
    state = state_at(7)
    state.advance(losses(3, 6), 3.0)
    state.evaluations, state.evicted_step = [{"step": 5, "metrics": {}}], 6
    state.calibration = Calibration(step=8, split="validation", method="platt", labels=())
    other = state_at(0)
    other.load_mapping(state.to_mapping())
    other.begin(8)
    assert other.to_mapping() == state.to_mapping()
    assert other.calibration == state.calibration
    assert other.window.take() == state.window.take() == [1.0, 2.0]


def test_memory_without_a_state_has_no_step():
    memory = ProcessMemory()
    assert memory.step is None
    memory.state = state_at(4)
    assert memory.step == 4
    memory.state.forget()
    assert memory.step is None
