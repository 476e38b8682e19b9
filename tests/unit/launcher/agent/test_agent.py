"""The agent's decisions, with workers that the test plays and a clock that it sets. No process is started."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from esmm_dist.progress import NoProgress
from launcher.agent import agent as module
from launcher.agent import next_worker
from launcher.agent.agent import STANDBY_AFTER_S, Agent, StartRefusedError
from tests.unit.launcher.agent.played_worker import PlayedWorker

GRACE_S = 7.0


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


class Setting:
    """An agent whose main loop the test turns by hand."""

    def __init__(self, clock: SimpleNamespace, pool: ThreadPoolExecutor, *, standby: bool = False) -> None:
        self.clock, self.messages, self._pool = clock, Messages(), pool
        self.agent = Agent(
            "worker-0", ["train"], grace_seconds=GRACE_S, progress=self.messages, standby=standby, local_rank=2
        )

    def turn(self, seconds: float = 0.0) -> None:
        """Let time pass, and the main loop do what is due."""
        self.clock.now += seconds
        self.agent._advance()

    def asks_for_start(self, **environment: str) -> "Future[int]":
        """Ask for a start as a driver does, from another thread, and wait until the agent knows of it."""
        before = self.agent._wanted
        future = self._pool.submit(self.agent.start, environment)
        while self.agent._wanted is before and not future.done():
            pass
        return future

    def started(self) -> PlayedWorker:
        """Start a worker, and return it."""
        self.turn()
        worker = PlayedWorker.made[-1]
        worker.reports_line(ready=1)
        future = self.asks_for_start(HOROVOD_RANK="1")
        self.turn()
        assert future.result(5) == self.agent.status().id
        return worker


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    found = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: found.now))
    monkeypatch.setattr(next_worker, "time", SimpleNamespace(monotonic=lambda: found.now))
    return found


@pytest.fixture
def make(clock, monkeypatch) -> Iterator[Callable[..., Setting]]:
    monkeypatch.setattr(PlayedWorker, "made", [])
    monkeypatch.setattr(next_worker, "WorkerProcess", PlayedWorker)
    with ThreadPoolExecutor() as pool:
        yield lambda **more: Setting(clock, pool, **more)


@pytest.fixture
def setting(make: Callable[..., Setting]) -> Setting:
    return make()


def test_an_agent_warms_a_worker_of_its_command_and_says_when_it_is_ready(setting):
    assert (setting.agent.status().state, PlayedWorker.made) == ("warming", [])
    setting.turn()
    (worker,) = PlayedWorker.made
    assert worker.command == ("train",)
    assert (setting.agent.status().state, setting.agent.status().worker_pid) == ("warming", worker.pid)
    worker.reports_line(ready=1)
    status = setting.agent.status()
    assert (status.state, status.running, status.id, status.beat_age_s) == ("ready", False, None, None)


def test_a_start_gives_the_worker_its_variables_and_its_local_rank(setting):
    worker = setting.started()
    assert worker.environment == {"HOROVOD_RANK": "1", "ESMM_LOCAL_RANK": "2"}
    status = setting.agent.status()
    assert (status.state, status.running, status.id, status.worker_pid) == ("running", True, 1, worker.pid)
    assert status.beat_age_s == 0.0


def test_a_start_waits_for_a_worker_to_get_ready(setting):
    setting.turn()
    future = setting.asks_for_start()
    setting.turn(20.0)
    assert not future.done()
    PlayedWorker.made[0].reports_line(ready=1)
    setting.turn()
    assert future.result(5) == 1


def test_a_worker_that_cannot_warm_refuses_the_start_that_waits_for_it(setting):
    setting.turn()
    future = setting.asks_for_start()
    PlayedWorker.made[0].reports_line(error="ImportError: no tensorflow", exit_status=1)
    PlayedWorker.made[0].ends(1)
    setting.turn()
    with pytest.raises(StartRefusedError, match=r"worker-0 did not start: .*no tensorflow\. The agent tries again"):
        future.result(5)
    assert setting.messages.texts == [
        "worker-0 could not get ready: ImportError: no tensorflow. Trying again in 0.5 s."
    ]
    assert setting.agent.status().warm_error == "worker-0 could not get ready: ImportError: no tensorflow"


def test_a_start_kills_what_runs_and_its_run_has_the_next_number(setting):
    first = setting.started()
    future = setting.asks_for_start()
    assert first.signals == [signal.SIGKILL]
    first.ends(-9)
    setting.turn()
    status = setting.agent.status()
    assert (status.id, status.running, status.exit_code, status.killed_by) == (1, False, -9, "another start")
    PlayedWorker.made[-1].reports_line(ready=1)
    setting.turn()
    assert future.result(5) == 2
    status = setting.agent.status()
    assert (status.id, status.running, status.exit_code, status.killed_by) == (2, True, None, None)


def test_of_two_starts_that_wait_the_later_one_counts(setting):
    setting.turn()
    first, second = setting.asks_for_start(), setting.asks_for_start()
    with pytest.raises(StartRefusedError, match="a later start came. Its sender is the driver now"):
        first.result(5)
    PlayedWorker.made[0].reports_line(ready=1)
    setting.turn()
    assert second.result(5) == 1


def test_what_a_worker_reports_is_in_the_status_and_stays_after_its_end(setting):
    worker = setting.started()
    worker.reports_line(facts={"rank": 1})
    worker.reports_line(facts={"step": 3})
    worker.reports_line(event="saved", time=5.0, facts={"step": 3})
    setting.clock.now += 2.0
    worker.reports_line(beat=1)
    setting.clock.now += 0.5
    status = setting.agent.status()
    assert (status.facts, status.beat_age_s) == ({"rank": 1, "step": 3}, 0.0)  # read this moment
    setting.clock.now += 4.0
    assert setting.agent.status().beat_age_s == 4.0
    worker.reports_line(error="disk full", exit_status=1)
    worker.ends(1)
    setting.turn()
    status = setting.agent.status()
    assert (status.exit_code, status.error, status.exit_status_of_error) == (1, "disk full", 1)
    assert (status.facts, status.beat_age_s, status.killed_by) == ({"rank": 1, "step": 3}, None, None)


def test_events_are_numbered_over_all_runs(setting):
    for _ in range(2):
        worker = setting.started()
        worker.reports_line(event="began", time=5.0, facts={})
        setting.turn()
        worker.ends(0)
        setting.turn()
    events = setting.agent.status().events
    assert [(event["number"], event["id"], event["event"]) for event in events] == [(1, 1, "began"), (2, 2, "began")]
    assert [event["number"] for event in setting.agent.status(after=1).events] == [2]


def test_only_the_run_that_goes_on_can_be_stopped(setting):
    assert not setting.agent.stop(0, "kill", "none runs")
    worker = setting.started()
    assert not setting.agent.stop(2, "kill", "of another run")
    assert worker.signals == []
    worker.ends(0)
    setting.turn()
    assert not setting.agent.stop(1, "kill", "it has ended")


@pytest.mark.parametrize(
    ("how", "number"), [("kill", signal.SIGKILL), ("leave", signal.SIGTERM), ("finish", signal.SIGINT)]
)
def test_each_way_to_stop_is_a_signal_of_its_own(setting, how, number):
    worker = setting.started()
    assert setting.agent.stop(1, how, "why")
    assert worker.signals == [number]
    worker.ends(0 if how != "kill" else -9)
    setting.turn()
    assert setting.agent.status().killed_by == ("why" if how == "kill" else None)


def test_a_worker_that_does_not_leave_in_time_is_killed_with_the_first_reason(setting):
    worker = setting.started()
    setting.agent.stop(1, "leave", "scaled down")
    setting.turn(GRACE_S - 0.1)
    setting.agent.stop(1, "leave", "scaled down again")  # which gives it no more time
    assert worker.signals == [signal.SIGTERM, signal.SIGTERM]
    setting.turn(0.1)
    assert worker.signals[2:] == [signal.SIGKILL]
    assert setting.agent.status().killed_by == f"scaled down (still running {GRACE_S:g} s after SIGTERM)"
    setting.agent.stop(1, "kill", "stalled")
    assert setting.agent.status().killed_by.startswith("scaled down")


def test_one_that_has_left_in_time_leaves_no_deadline_to_the_next(setting):
    worker = setting.started()
    setting.agent.stop(1, "leave", "scaled down")
    worker.ends(0)
    setting.turn()
    following = setting.started()
    setting.turn(10 * GRACE_S)
    assert following.signals == []


def test_a_finish_has_no_limit(setting):
    worker = setting.started()
    setting.agent.stop(1, "finish", "the training stops")
    setting.turn(100 * GRACE_S)
    assert worker.signals == [signal.SIGINT]


def test_without_a_standby_the_next_worker_warms_after_the_end(setting):
    worker = setting.started()
    worker.reports_line(facts={"impressions": 16})
    setting.turn(10 * STANDBY_AFTER_S)
    assert len(PlayedWorker.made) == 1
    worker.ends(0)
    setting.turn()
    assert len(PlayedWorker.made) == 2


@pytest.mark.parametrize(
    ("facts", "seconds", "num_workers"),
    [
        ({"step": 0}, STANDBY_AFTER_S - 0.1, 1),  # it imports and connects: the CPUs are its own
        ({"step": 0}, STANDBY_AFTER_S, 2),  # it waits for others: the CPUs are idle
        ({"impressions": 16}, 0.0, 2),
    ],
)
def test_a_standby_warms_with_the_first_step_or_after_a_while(make, facts, seconds, num_workers):
    setting = make(standby=True)
    worker = setting.started()
    worker.reports_line(facts=facts)
    setting.turn(seconds)
    assert len(PlayedWorker.made) == num_workers


def test_a_standby_is_ready_the_moment_that_the_run_ends(make):
    setting = make(standby=True)
    worker = setting.started()
    assert setting.agent.status().standby == "none"
    worker.reports_line(facts={"impressions": 16})
    setting.turn()
    assert setting.agent.status().standby == "warming"
    PlayedWorker.made[1].reports_line(ready=1)
    status = setting.agent.status()
    assert (status.standby, status.worker_pid) == ("ready", worker.pid)
    worker.ends(-9)
    setting.turn()
    status = setting.agent.status()
    assert (status.state, status.standby, status.worker_pid) == ("ready", "none", PlayedWorker.made[1].pid)


def test_a_standby_that_failed_is_made_at_once_when_nothing_else_is_left(make):
    setting = make(standby=True)
    worker = setting.started()
    worker.reports_line(facts={"impressions": 16})
    setting.turn()
    PlayedWorker.made[1].ends(1)
    setting.turn()  # it pauses
    assert len(PlayedWorker.made) == 2
    worker.ends(0)
    setting.turn()
    assert len(PlayedWorker.made) == 3


def test_an_agent_that_ends_refuses_starts_and_gives_the_worker_its_time(setting):
    worker = setting.started()
    waiting = setting.asks_for_start()
    worker.signals.clear()
    setting.agent._drain()
    setting.agent._drain()  # a second signal
    assert setting.messages.texts == [f"worker-0 is ending: its worker has {GRACE_S:g} s to leave."]
    assert worker.signals == [signal.SIGTERM]
    with pytest.raises(StartRefusedError, match="the agent is about to end"):
        waiting.result(5)
    with pytest.raises(StartRefusedError, match="worker-0 is about to end and starts nothing. Use another worker"):
        setting.agent.start({})
    assert setting.agent.draining
    assert (setting.agent.status().state, setting.agent._is_over()) == ("draining", False)
    worker.ends(0)
    setting.turn()
    assert setting.agent._is_over()
    assert len(PlayedWorker.made) == 1  # no other one is made


def test_an_agent_that_ends_discards_the_worker_that_waits(setting):
    setting.turn()
    worker = PlayedWorker.made[0]
    setting.agent._drain()
    assert worker.signals == [signal.SIGKILL]
    assert not setting.agent._is_over()  # the kernel has not ended it yet
    worker.ends(-9)
    setting.turn()
    assert setting.agent._is_over()
    assert setting.messages.texts == []  # which is no failure


def test_an_agent_stays_until_its_driver_has_read_the_end(setting):
    worker = setting.started()
    setting.agent.status_was_read(setting.agent.status())
    setting.agent._drain()
    worker.ends(0)
    setting.turn()
    assert not setting.agent._is_over()
    setting.agent.status_was_read(setting.agent.status())
    assert setting.agent._is_over()


def test_the_main_loop_wakes_up_when_something_is_due(setting):
    assert setting.agent._due() == 0.0  # a worker is to be made
    setting.turn()
    assert setting.agent._due() is None
    worker = setting.started()
    assert setting.agent._due() is None
    setting.agent.stop(1, "leave", "scaled down")
    assert setting.agent._due() == setting.clock.now + GRACE_S
    worker.ends(0)
    setting.turn()
    PlayedWorker.made[-1].ends(1)
    setting.turn()
    assert setting.agent._due() == setting.clock.now + 0.5  # the pause after a failure
