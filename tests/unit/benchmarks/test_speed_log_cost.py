"""The cost of the speed log is measured: small numbers of a small data set, in the right order."""

from tests.benchmarks import speed_log_cost


def test_the_clock_of_a_step_costs_microseconds():
    assert 0 < speed_log_cost._clock_us(2000) < 1000


def test_windows_without_the_log_have_no_clock_and_no_line():
    times = speed_log_cost._NoTimes()
    assert times.take() is None
    assert times.lap("step_s") is None
