"""What one process does between two worlds, with a world and a trainer that do as they are told."""

import contextlib

import pytest

from esmm_dist.errors import ConfigError, LeftError, NumericalError, RetryError, WorkerLostError
from esmm_dist.progress import NoProgress
from esmm_dist.train import elastic
from esmm_dist.train.elastic import FailuresInARow, train_elastically
from esmm_dist.train.train_state import ProcessMemory
from esmm_dist.train.trainer import RanksChangeError


class World:
    """Counts how often it was joined and left."""

    rank, size = 1, 3

    def __init__(self) -> None:
        self.rejoined = self.left = 0

    def rejoin(self) -> None:
        self.rejoined += 1

    def leave(self) -> None:
        self.left += 1


class Events:
    """Remembers what was reported."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.phases: list[str] = []
        self.facts: list[dict] = []

    def note(self, **facts) -> None:
        self.phases.append(facts["phase"])

    def event(self, name, **facts) -> None:
        self.names.append(name)
        self.facts.append(facts)


class StateAt:
    def __init__(self, step: int | None) -> None:
        self.step = step


@pytest.fixture
def course(monkeypatch):
    """Trainers that end one after the other as listed: (step that memory then has, error or result)."""
    ends: list[tuple[int | None, object]] = []

    class Trainer:
        def __init__(self, memory: ProcessMemory) -> None:
            self.memory = memory

        def train(self, stop) -> object:
            step, end = ends.pop(0)
            self.memory.state = StateAt(step)  # type: ignore[assignment]
            if isinstance(end, Exception):
                raise end
            return end

    @contextlib.contextmanager
    def open_trainer(config, progress, world, reporter, memory, lock):
        yield Trainer(memory)

    monkeypatch.setattr(elastic, "open_trainer", open_trainer)
    return ends


def run(world: World, events: Events) -> object:
    return train_elastically(None, NoProgress(), world, events)  # type: ignore[arg-type]


def test_a_training_goes_through_changes_and_losses_and_returns_its_result(course):
    course += [(5, RanksChangeError(leaving=False)), (7, WorkerLostError("rank 2 ended")), (9, "the result")]
    world, events = World(), Events()
    assert run(world, events) == "the result"
    assert events.names == ["ranks_change", "met", "interrupted", "met"]
    assert [facts.get("step") for facts in events.facts] == [5, None, 7, None]
    assert events.facts[2]["reason"] == "rank 2 ended"
    assert (events.facts[1]["rank"], events.facts[1]["size"]) == (1, 3)
    assert events.phases == ["meeting", "meeting"]
    assert (world.rejoined, world.left) == (2, 0)


def test_a_worker_that_leaves_does_not_rejoin(course):
    course += [(5, RanksChangeError(leaving=True))]
    world, events = World(), Events()
    with pytest.raises(LeftError, match="This worker has left the training; nothing is lost."):
        run(world, events)
    assert (world.rejoined, world.left, events.phases, events.names) == (0, 1, ["left"], [])


@pytest.mark.parametrize("error", [ConfigError("wrong"), NumericalError("nan")])
def test_an_error_that_another_try_cannot_mend_ends_it_and_is_reported(course, error):
    course += [(5, error)]
    world, events = World(), Events()
    with pytest.raises(type(error)):
        run(world, events)
    assert (events.names, events.facts) == (["failed"], [{"gives_up": True, "error": str(error)}])
    assert world.rejoined == 0


def test_five_interruptions_in_a_row_after_the_first_end_it(course):
    course += [(None, RetryError(str(number))) for number in range(7)]
    world = World()
    with pytest.raises(RetryError, match="5"):  # numbers 0 to 5: the first, and five more without a step
        run(world, Events())
    assert world.rejoined == 5


def test_each_new_step_begins_the_count_anew():
    failures = FailuresInARow(most=2)
    assert [failures.is_last(step) for step in (3, 3, 4, 4, 4)] == [False, False, False, False, True]


def test_going_back_to_a_checkpoint_is_no_new_step():
    failures = FailuresInARow(most=2)
    assert [failures.is_last(step) for step in (50, 40, 50, 51)] == [False, False, True, False]
