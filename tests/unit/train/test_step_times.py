"""Laps of the step loop, on a clock that is moved by hand."""

import pytest

from esmm_dist.train.step_times import StepPart, StepTimes, TimedSteps


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def step(times: StepTimes, clock: Clock, *, wait: float, pulled_ahead: float = 0.0) -> None:
    """Make a step of 8 s after its batch, which has 32 impressions."""
    clock.now += wait
    times.lap_of_input(pulled_ahead)
    for part, seconds in ((StepPart.PULL, 1.0), (StepPart.STEP, 4.0), (StepPart.PUSH, 2.0)):
        clock.now += seconds
        times.lap(part)
    times.count(32)
    clock.now += 1
    times.lap(StepPart.OTHER)


def parts(taken: TimedSteps | None) -> dict[str, float]:
    assert taken is not None
    return {part.value: seconds for part, seconds in taken.parts.items()}


def test_parts_add_up_to_all_that_passed(clock):
    times = StepTimes(clock)
    times.start()
    for wait in (3.0, 0.0):
        step(times, clock, wait=wait)
    taken = times.take()
    assert taken is not None
    assert parts(taken) == {"input_s": 3, "pull_s": 2, "step_s": 8, "push_s": 4, "other_s": 2}
    assert (taken.steps, taken.impressions, taken.seconds) == (2, 64, clock.now - 1000)


def test_what_lies_between_two_stretches_does_not_count(clock):
    times = StepTimes(clock)
    times.start()
    step(times, clock, wait=0.0)
    clock.now += 500  # an evaluation
    times.start()
    step(times, clock, wait=0.0)
    taken = times.take()
    assert taken is not None
    assert taken.seconds == 16


@pytest.mark.parametrize(
    ("wait", "pulled_ahead", "input_s", "pull_s"),
    [
        (5.0, 2.0, 3.0, 3.0),  # 2 of the 5 s are the pull's, and 1 s is pulled in the step
        (5.0, 9.0, 0.0, 6.0),  # most of the pull took place beside the step before
        (0.0, 9.0, 0.0, 1.0),  # all of it
    ],
)
def test_of_the_wait_for_a_batch_the_pull_of_its_rows_has_its_share(clock, wait, pulled_ahead, input_s, pull_s):
    times = StepTimes(clock)
    times.start()
    step(times, clock, wait=wait, pulled_ahead=pulled_ahead)
    found = parts(times.take())
    assert (found["input_s"], found["pull_s"]) == (input_s, pull_s)


def test_what_is_taken_is_forgotten(clock):
    times = StepTimes(clock)
    times.start()
    step(times, clock, wait=1.0)
    assert times.take() is not None
    assert times.take() is None
    step(times, clock, wait=2.0)
    assert parts(times.take())["input_s"] == 2
