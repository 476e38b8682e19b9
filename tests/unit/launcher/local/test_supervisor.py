"""A supervisor of servers and workers that are not replaced, with processes that the test plays."""

import signal
from collections.abc import Iterator

import pytest

from launcher.local.supervisor import Supervisor, not_listening
from launcher.processes.process_plan import ProcessPlan
from tests.unit.launcher.local.played_processes import World

TERM, INT, HUP, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL
GRACE_S = 30.0


class StaticWorld(World):
    """Two servers and two workers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self.supervisor = Supervisor(
            self.screen,
            self.signals,
            grace_s=GRACE_S,
            environment={},
            stop_requested=lambda: self.stop_requested,
            clock=self.clock,
        )

    def start(self) -> None:
        for index in range(2):
            plan = ProcessPlan(name=f"server {index}", command=(), environment={})
            self.supervisor.start(plan, is_server=True)
        for rank in range(2):
            plan = ProcessPlan(name=f"worker {rank}", command=(), environment={}, reports=rank == 0)
            self.supervisor.start(plan, is_server=False)

    def run(self, script: Iterator[None]) -> None:
        """Watch the workers to their end, then stop the servers."""
        self.start()

        def work() -> None:
            self.supervisor.wait_for_workers()
            self.supervisor.stop_servers()

        self.play(script, work)

    def ends(self) -> list[tuple[str, int]]:
        return [(ending.name, ending.status) for ending in self.supervisor.endings]


@pytest.fixture
def world(monkeypatch) -> Iterator[StaticWorld]:
    made = StaticWorld(monkeypatch)
    yield made
    made.supervisor.__exit__(None, None, None)
    made.signals.__exit__()


def test_servers_are_stopped_once_all_workers_have_ended(world):
    def script() -> Iterator[None]:
        world.newest("worker 1").end(0)
        yield from world.pass_s(60)
        assert world.newest("server 0").sent == []
        world.newest("worker 0").end(0)
        yield

    world.run(script())
    assert world.ends()[:2] == [("worker 1", 0), ("worker 0", 0)]
    assert [world.newest(f"server {i}").sent for i in range(2)] == [[TERM], [TERM]]
    assert not world.supervisor.stopping


def test_after_a_failure_the_others_have_a_second_to_fail_by_themselves(world):
    def script() -> Iterator[None]:
        world.newest("worker 0").deaf = True
        world.newest("worker 1").end(1)
        yield from world.pass_s(0.9)
        assert world.newest("worker 0").sent == []
        yield from world.pass_s(1.0)
        assert world.newest("worker 0").sent == [TERM]
        yield from world.pass_s(GRACE_S - 2)
        assert world.newest("worker 0").sent == [TERM]

    world.run(script())
    assert world.newest("worker 0").sent[:2] == [TERM, KILL]
    assert ("worker 0", -KILL) in world.ends()
    assert world.supervisor.stopping


def test_a_server_that_leaves_its_workers_is_a_failure(world):
    def script() -> Iterator[None]:
        world.newest("server 1").end(0)
        yield from world.pass_s(2)

    world.run(script())
    assert world.newest("worker 0").sent == [TERM]


@pytest.mark.parametrize("number", [TERM, HUP, INT])
def test_a_stop_signal_goes_to_the_workers_and_they_have_all_the_time_they_need(world, number):
    def script() -> Iterator[None]:
        for rank in range(2):
            world.newest(f"worker {rank}").deaf = True
        world.signals.send(number)
        yield from world.pass_s(10 * GRACE_S)
        assert [world.newest(name).sent for name in ("worker 0", "worker 1", "server 0")] == [[number], [number], []]
        for rank in range(2):
            world.newest(f"worker {rank}").end(0)
        yield

    world.run(script())
    assert world.shown.lines == [f"{number.name}: the workers save and stop; Ctrl-C again kills them."]
    assert world.supervisor.stop_signal == number


def test_a_worker_that_could_not_save_ends_the_patience_with_the_others(world):
    def script() -> Iterator[None]:
        for rank in range(2):
            world.newest(f"worker {rank}").deaf = True
        world.signals.send(TERM)
        yield
        world.newest("worker 1").end(128 + TERM)
        yield from world.pass_s(GRACE_S)
        assert world.newest("worker 0").sent == [TERM, TERM]

    world.run(script())
    assert ("worker 0", -KILL) in world.ends()


def test_a_request_in_the_run_stops_as_ctrl_c_does_and_once(world):
    def script() -> Iterator[None]:
        world.newest("worker 0").deaf = True
        world.stop_requested = True
        yield from world.pass_s(5)
        assert world.newest("worker 0").sent == [INT]
        world.newest("worker 0").end(0)
        yield

    world.run(script())
    assert not world.supervisor.killed


def test_a_second_ctrl_c_kills_all_and_a_second_sigterm_does_not(world):
    def script() -> Iterator[None]:
        for child in world.children:
            child.deaf = True
        world.signals.send(INT)
        yield from world.pass_s(1)
        world.signals.send(TERM)
        yield from world.pass_s(1)
        assert not world.supervisor.killed
        world.signals.send(INT)
        yield

    world.run(script())
    assert world.supervisor.killed
    assert {status for _, status in world.ends()} == {-KILL}


def test_a_ctrl_c_that_comes_twice_within_a_moment_is_one(world):
    def script() -> Iterator[None]:
        for child in world.children:
            child.deaf = True
        world.signals.send(INT, INT)
        yield from world.pass_s(1)
        assert not world.supervisor.killed
        for child in world.children:
            child.end(0)
        yield

    world.run(script())


def test_a_stop_while_only_servers_run_says_so(world):
    world.supervisor.start(ProcessPlan(name="server 0", command=(), environment={}), is_server=True)

    def script() -> Iterator[None]:
        world.signals.send(TERM)
        yield

    world.play(script(), lambda: world.supervisor.wait_until(lambda: False, timeout_s=5.0))
    assert world.shown.lines == ["SIGTERM: stopping the servers; Ctrl-C again kills them."]
    assert world.newest("server 0").sent == []


def test_waiting_ends_when_it_is_ready_when_time_is_up_or_when_a_process_fails(world):
    world.start()
    ready = iter([False, False, True])
    assert world.supervisor.wait_until(lambda: next(ready), timeout_s=60.0)
    before = world.clock.now
    assert not world.supervisor.wait_until(lambda: False, timeout_s=5.0)
    assert world.clock.now == pytest.approx(before + 5.0, abs=0.1)

    def script() -> Iterator[None]:
        world.newest("server 0").end(1)
        yield

    before = world.clock.now
    world.play(script(), lambda: world.supervisor.wait_until(lambda: False, timeout_s=60.0))
    assert world.clock.now < before + 1


def test_leaving_the_block_kills_what_still_runs(world):
    with world.supervisor:
        world.start()
        for child in world.children:
            child.deaf = True
    assert all(KILL in child.sent for child in world.children)


def test_servers_that_do_not_listen_are_all_named():
    error = not_listening([0, 2], 1.5)
    assert str(error).startswith("server 0, server 2 did not listen within 1.5 s.")
    assert "--start-timeout-s more" in str(error)
    assert error.exit_status == 1
