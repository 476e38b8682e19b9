"""A period in steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.train.every_steps import EverySteps

periods, steps = st.integers(1, 10**6), st.integers(0, 10**9)


@given(period=periods, step=steps)
def test_the_next_step_is_the_smallest_multiple_of_the_period_behind_the_step(period, step):
    found = EverySteps(period).next_after(step)
    assert found is not None
    assert found % period == 0
    assert step < found <= step + period


@given(period=periods, step=steps)
def test_a_step_is_due_exactly_if_it_is_the_next_one_of_the_step_before(period, step):
    every = EverySteps(period)
    assert every.is_due(step + 1) == (every.next_after(step) == step + 1)


@given(period=periods, first=steps, count=st.integers(0, 50))
def test_going_from_one_to_the_next_leaves_none_out(period, first, count):
    every, step, found = EverySteps(period), first, []
    for _ in range(count):
        step = every.next_after(step) or 0
        found.append(step)
    start = first // period + 1
    assert found == [period * number for number in range(start, start + count)]
    assert all(every.is_due(each) for each in found)


@given(step=steps)
def test_a_period_of_zero_is_never_due(step):
    assert EverySteps(0).next_after(step) is None
    assert not EverySteps(0).is_due(step)


@pytest.mark.parametrize("period", [0, 1, 7])
def test_nothing_is_due_before_the_first_step(period):
    assert not EverySteps(period).is_due(0)
