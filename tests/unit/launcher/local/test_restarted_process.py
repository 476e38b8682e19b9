"""When a process that has ended is started again."""

import pytest

from launcher.local.restarted_process import RestartedProcess
from launcher.processes.process_plan import ProcessPlan
from tests.unit.launcher.local.played_processes import Clock, PlayedChild


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def process(clock) -> RestartedProcess:
    return RestartedProcess(clock=clock)


def run(process: RestartedProcess, clock: Clock, seconds: float, status: int = 1) -> None:
    """Let a process run so long and end."""
    child = PlayedChild(ProcessPlan(name="server 0", command=(), environment={}), {}, is_server=True)
    process.note_start(child)  # type: ignore[arg-type]
    assert process.running
    clock.now += seconds
    child.end(status)
    child.reap()
    assert process.ended
    assert process.note_end().status == status
    assert not process.ended


def test_a_process_is_due_before_its_first_start_and_not_while_it_runs(process, clock):
    assert process.due
    process.note_start(PlayedChild(ProcessPlan(name="s", command=(), environment={}), {}, is_server=True))
    assert not process.due
    assert process.age_s == 0.0


@pytest.mark.parametrize(("ran_s", "pause_s"), [(9.9, 1.0), (10.0, 0.0)])
def test_only_a_process_that_ended_quickly_waits_before_it_is_started_again(process, clock, ran_s, pause_s):
    run(process, clock, ran_s)
    assert process.due == (pause_s == 0.0)
    clock.now += pause_s
    assert process.due


def test_five_quick_ends_in_a_row_are_too_many(process, clock):
    for _ in range(4):
        run(process, clock, 9.0)
        assert not process.will_not_run
    run(process, clock, 9.0)
    assert process.will_not_run


def test_an_end_after_a_while_starts_the_count_again(process, clock):
    for seconds in (1.0, 1.0, 1.0, 1.0, 11.0, 1.0, 1.0, 1.0, 1.0):
        run(process, clock, seconds)
    assert not process.will_not_run


def test_a_process_that_is_not_wanted_is_never_due(process, clock):
    process.wanted = False
    assert not process.due
    run(process, clock, 60.0)
    assert not process.due
