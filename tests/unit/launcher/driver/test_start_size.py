"""With how many ranks a training starts, and after how long a wait. Seconds are the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.driver.start_size import START_PATIENCE_S, StartSize


@pytest.mark.parametrize(
    ("ready", "wanted", "ranks"),
    [
        (0, 3, None),
        (1, 3, None),  # fewer than the least number
        (2, 3, None),  # enough, but more are wanted
        (3, 3, 3),
        (4, 3, 4),  # more have come than are wanted: there is a place for them
        (9, 9, 5),  # no more than the most
        (2, 1, 2),  # the least number counts, not the smaller number that is wanted
        (4, 9, None),  # 5 are the most, so these are the goal
        (5, 9, 5),
    ],
)
def test_a_training_of_2_to_5_starts_at_once_with_as_many_as_are_wanted(ready, wanted, ranks):
    assert StartSize(2, 5).decide(ready, wanted, now=0.0) == ranks


def test_with_the_least_number_the_others_have_a_while_to_come():
    size = StartSize(2, 5)
    assert size.decide(2, 4, now=100.0) is None
    assert size.decide(3, 4, now=100.0 + START_PATIENCE_S - 0.1) is None
    assert size.decide(3, 4, now=100.0 + START_PATIENCE_S) == 3


def test_the_wait_begins_anew_when_too_few_are_left():
    size = StartSize(2, 5)
    assert size.decide(2, 4, now=100.0) is None
    assert size.decide(1, 4, now=110.0) is None
    assert size.decide(2, 4, now=119.0) is None
    assert size.decide(2, 4, now=119.0 + START_PATIENCE_S - 0.1) is None
    assert size.decide(2, 4, now=119.0 + START_PATIENCE_S) == 2


def test_too_few_never_start_however_long_they_wait():
    size = StartSize(2, 5)
    assert [size.decide(1, 4, now=float(second)) for second in (0, 1_000, 1_000_000)] == [None, None, None]


@given(
    st.integers(1, 9),
    st.integers(0, 9),
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.floats(0.0, 30.0)), max_size=10),
)
def test_whoever_comes_when_a_start_has_between_least_and_most_ranks_all_of_them_ready(least, more, steps):
    size, now = StartSize(least, least + more), 0.0
    for ready, wanted, seconds in steps:
        now += seconds
        ranks = size.decide(ready, wanted, now)
        assert ranks is None or least <= ranks <= min(ready, least + more)
