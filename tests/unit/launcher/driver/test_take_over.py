"""How the workers of an earlier driver are ended. Seconds are the test's own."""

from launcher.driver.take_over import TAKE_OVER_S, TakeOver
from tests.unit.launcher.driver.agent_views import ready_view, view_of


def test_without_running_workers_there_is_nothing_to_take_over():
    take_over = TakeOver(100.0)
    silent = view_of("worker-1")
    silent.status = None  # never answered
    assert take_over.stops([ready_view("worker-0"), silent], 100.0) is None
    assert take_over.num_workers == 0


def test_each_worker_is_asked_once_to_save_and_end():
    take_over = TakeOver(100.0)
    views = [view_of("worker-0"), view_of("worker-1"), ready_view("worker-2")]
    assert take_over.stops(views, 100.0) == [(views[0], "finish"), (views[1], "finish")]
    assert take_over.stops(views, 100.2) == []  # they are saving
    assert take_over.stops([ready_view("worker-0"), views[1]], 101.0) == []
    assert take_over.stops([ready_view("worker-0")], 102.0) is None
    assert take_over.num_workers == 2


def test_another_run_of_the_same_agent_is_asked_too():
    take_over = TakeOver(100.0)
    take_over.stops([view_of("worker-0", id=1)], 100.0)
    second = view_of("worker-0", id=2)  # the earlier driver was not quite gone
    assert take_over.stops([second], 100.2) == [(second, "finish")]
    assert take_over.num_workers == 2


def test_those_that_are_left_when_the_time_is_over_are_killed_until_they_are_gone():
    take_over = TakeOver(100.0)
    view = view_of("worker-0")
    take_over.stops([view], 100.0)
    assert take_over.stops([view], 100.0 + TAKE_OVER_S - 0.1) == []
    for seconds in (0.0, 0.2, 0.4):
        assert take_over.stops([view], 100.0 + TAKE_OVER_S + seconds) == [(view, "kill")]
