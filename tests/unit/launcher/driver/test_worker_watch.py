"""What the answers of an agent mean for one start of its worker. Seconds are the test's own."""

from typing import Any

import pytest

from esmm_dist.errors import LeftError
from launcher.driver.agent_watch import SILENT_S, AgentView
from launcher.driver.worker_watch import RENDEZVOUS_AGAIN_S, Kill, WorkerEnd, WorkerWatch
from tests.unit.launcher.driver.agent_views import NOW, status_of, view_of

RUN_ID = 4
STALL_S = 30.0


@pytest.fixture
def watch() -> WorkerWatch:
    return WorkerWatch(RUN_ID, STALL_S)


def running(**changes: Any) -> AgentView:
    return view_of(id=RUN_ID, **changes)


def ended(exit_code: int | None, **changes: Any) -> AgentView:
    return view_of(id=RUN_ID, running=False, state="warming", exit_code=exit_code, beat_age_s=None, **changes)


def judge(watch: WorkerWatch, view: AgentView, now: float = NOW, *, is_over: bool = False, broken_at: float = 0.0):
    return watch.judge(view, view, now, is_over=is_over, broken_at=broken_at)


def test_a_worker_that_trains_goes_on(watch):
    assert judge(watch, running(facts={"phase": "training", "step": 3})) is None


def test_an_answer_from_before_the_start_says_nothing(watch):
    for earlier in (view_of(id=None), view_of(id=RUN_ID - 1, running=False, exit_code=1), view_of(id=RUN_ID - 1)):
        assert judge(watch, earlier, is_over=True) is None
    never = running()
    never.status = None
    assert judge(watch, never) is None
    assert not watch.was_connected


def test_a_later_start_is_that_of_another_driver(watch):
    end = judge(watch, view_of(id=RUN_ID + 1))
    assert end == WorkerEnd(exit_code=137, event="worker_lost", reason="another driver has started its agent's worker")


@pytest.mark.parametrize(
    ("view", "end"),
    [
        (ended(0), WorkerEnd(exit_code=0)),
        (ended(3), WorkerEnd(exit_code=3, event="worker_lost", reason="exit status 3")),
        (ended(-9), WorkerEnd(exit_code=-9, event="worker_lost", reason="killed by signal 9")),
        (ended(None), WorkerEnd(exit_code=137, event="worker_lost", reason="exit status 137")),
        (ended(1, error="disk full"), WorkerEnd(exit_code=1, event="worker_lost", reason="disk full")),
        (  # a wrong setting is wrong for the next worker too
            ended(2, error="data d is missing"),
            WorkerEnd(exit_code=2, event="worker_lost", reason="data d is missing", gives_up=True),
        ),
        (ended(2), WorkerEnd(exit_code=2, event="worker_lost", reason="exit status 2")),  # Python's own, no setting
        (
            ended(LeftError.exit_status, error="it left"),
            WorkerEnd(exit_code=75, event="worker_left", reason="it was asked to leave"),
        ),
    ],
)
def test_how_a_worker_ended_is_told_by_its_exit_status_and_last_words(watch, view, end):
    assert judge(watch, view) == end


def test_a_worker_that_has_left_counts_as_ended_while_its_process_still_runs(watch):
    assert judge(watch, running(facts={"phase": "left"})) == WorkerEnd(
        exit_code=75, event="worker_left", reason="it was asked to leave"
    )


@pytest.mark.parametrize(
    ("current", "reason"), [(None, "its agent is gone"), (running(), "its agent was started again")]
)
def test_another_agent_or_none_under_its_name_is_a_lost_agent(watch, current, reason):
    end = watch.judge(running(), current, NOW, is_over=False, broken_at=0.0)
    assert end == WorkerEnd(exit_code=137, event="agent_lost", reason=reason)


@pytest.mark.parametrize("stall_s", [STALL_S, SILENT_S / 2])
def test_an_agent_that_is_silent_too_long_is_lost(stall_s):
    watch, most_s = WorkerWatch(RUN_ID, stall_s), max(SILENT_S, stall_s)
    assert judge(watch, running(), NOW + most_s) is None
    end = judge(watch, running(), NOW + most_s + 1)
    assert end == WorkerEnd(
        exit_code=137, event="agent_lost", reason=f"its agent has not answered for {most_s + 1:.0f} s"
    )


def test_a_worker_without_a_heartbeat_is_killed_once_and_its_end_is_a_stall(watch):
    assert judge(watch, running(beat_age_s=STALL_S)) is None
    assert judge(watch, running(beat_age_s=STALL_S + 1)) == Kill(reason="stalled")
    assert judge(watch, running(beat_age_s=STALL_S + 2), is_over=True) is None  # it is being killed
    end = judge(watch, ended(-9))
    assert end == WorkerEnd(exit_code=-9, event="worker_stalled", reason="no heartbeat for 31 s")


def test_a_worker_whose_ranks_have_ended_is_killed_and_that_is_no_event(watch):
    assert judge(watch, running(), is_over=True) == Kill(reason="its ranks have ended")
    assert judge(watch, ended(-9)) == WorkerEnd(exit_code=-9)


def test_a_worker_that_is_done_just_before_it_is_killed_is_done(watch):
    assert isinstance(judge(watch, running(), is_over=True), Kill)
    assert judge(watch, ended(0)) == WorkerEnd(exit_code=0)


@pytest.mark.parametrize(
    ("broken_at", "now", "is_killed"),
    [
        (NOW + 2, NOW + 2 + RENDEZVOUS_AGAIN_S, False),  # it has until then to begin another one
        (NOW + 2, NOW + 2.1 + RENDEZVOUS_AGAIN_S, True),
        (NOW - 0.5, NOW + RENDEZVOUS_AGAIN_S, True),  # it may have begun just before the loss was noticed
        (NOW - 1, NOW + 60, False),  # lost before its rendezvous began: it waits for others
        (0.0, NOW + 60, False),  # none was ever lost
    ],
)
def test_a_rank_that_waits_for_one_that_was_lost_during_their_rendezvous_is_killed(watch, broken_at, now, is_killed):
    waiting = running(answered_at=now, facts={"phase": "meeting"})
    assert judge(watch, waiting, NOW) is None  # its rendezvous begins
    assert judge(watch, waiting, now, broken_at=broken_at) == (
        Kill(reason="it waited for ranks that were lost during the rendezvous") if is_killed else None
    )


def test_another_rendezvous_is_waited_for_anew(watch):
    assert judge(watch, running(facts={"phase": "meeting"}), NOW) is None
    assert judge(watch, running(facts={"phase": "training"}), NOW + 1) is None
    late = running(answered_at=NOW + 100, facts={"phase": "meeting"})
    assert judge(watch, late, NOW + 100, broken_at=NOW + 0.5) is None  # that loss was of the first one


@pytest.mark.parametrize(
    ("phase", "is_connected"),
    [
        ("training", True),
        ("evaluating", True),
        ("saving", True),
        ("meeting", False),
        ("starting", False),
        (None, False),
    ],
)
def test_a_worker_that_does_its_work_is_connected_to_the_others(watch, phase, is_connected):
    judge(watch, running(facts={"phase": phase}))
    assert watch.was_connected is is_connected
    judge(watch, running(facts={"phase": "meeting"}))
    assert watch.was_connected is is_connected  # once is enough


def test_a_status_is_judged_as_it_is_now():
    view = view_of(id=RUN_ID)
    watch = WorkerWatch(RUN_ID, STALL_S)
    assert judge(watch, view) is None
    view.status = status_of(id=RUN_ID, running=False, exit_code=0)
    assert judge(watch, view) == WorkerEnd(exit_code=0)
