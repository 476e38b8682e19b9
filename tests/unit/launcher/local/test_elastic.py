"""What ``esmm local`` keeps running in an elastic training, with processes that the test plays."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from esmm_dist.errors import StorageError
from esmm_dist.storage.folder import Folder
from launcher.driver.heartbeat import Heartbeat, write_heartbeat
from launcher.local.config import LocalConfig
from launcher.local.elastic import ElasticSupervisor
from launcher.local.process_plans import ProcessPlans
from launcher.local.workspace import Workspace
from launcher.processes.ending import LocalError
from launcher.run_files.scale_request import ScaleRequest, write_scale_request
from tests.unit.launcher.local.played_processes import World

TERM, INT, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGKILL
STALL_S = 30.0


class ElasticWorld(World):
    """A training with 2 of 1 to 4 workers and 2 servers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        super().__init__(monkeypatch)
        self.workspace, self.run_folder = Workspace(folder=folder / "workspace"), folder / "run"
        self.workspace.folder.mkdir()
        self.run_folder.mkdir()
        config = LocalConfig(workers=2, min_workers=1, max_workers=4, servers=2, command=("train", "--data", "d"))
        plans = ProcessPlans(config=config, workspace=self.workspace, token_file="/t", esmm=["esmm"])
        self.supervisor = ElasticSupervisor(
            plans,
            str(self.run_folder),
            self.screen,
            self.signals,
            stop_requested=lambda: self.stop_requested,
            clock=self.clock,
        )

    def run(self, script: Iterator[None]) -> None:
        """Run the training from the moment on when its servers listen."""

        def from_the_start() -> Iterator[None]:
            self.listen()
            yield from script

        self.play(from_the_start(), self.supervisor.run)

    def listen(self) -> None:
        """Let both servers listen."""
        for index in range(2):
            self.workspace.address_file(index).write_text(f"127.0.0.1:{9000 + index}\n")

    def ask_for(self, workers: int) -> None:
        """Ask for so many workers."""
        write_scale_request(Folder.open(self.run_folder), ScaleRequest(workers=workers, id=str(self.clock.now)))

    def beat(self, heartbeat: Heartbeat, *, age_s: float = 0.0) -> None:
        """Let the driver give a sign of life, some time ago."""
        path = self.workspace.beat_file
        write_heartbeat(path, heartbeat)
        os.utime(path, (time.time() - age_s, time.time() - age_s))

    def agents_file(self) -> object:
        return json.loads(self.workspace.agents_file.read_text())


@pytest.fixture
def world(monkeypatch, tmp_path) -> Iterator[ElasticWorld]:
    made = ElasticWorld(monkeypatch, tmp_path)
    yield made
    made.supervisor.__exit__(None, None, None)
    made.signals.__exit__()


def test_agents_and_driver_start_once_all_servers_listen(world):
    def script() -> Iterator[None]:
        yield
        assert [child.plan.name for child in world.children] == ["server 0", "server 1"]
        world.listen()
        yield from world.pass_s(1)
        started = [child.plan.name for child in world.children[2:]]
        assert started == ["worker-0", "worker-1", "driver"]
        assert world.newest("driver").flags["--servers"] == "127.0.0.1:9000,127.0.0.1:9001"
        world.newest("driver").end(0)

    world.play(script(), world.supervisor.run)
    assert world.supervisor.done
    assert not any(child.running for child in world.children)


def test_servers_that_never_listen_are_named(world):
    def script() -> Iterator[None]:
        world.workspace.address_file(0).write_text("127.0.0.1:9000\n")
        yield from world.pass_s(119)

    with pytest.raises(LocalError, match="^server 1 did not listen within 120 s"):
        world.play(script(), world.supervisor.run)


def test_a_server_that_ends_again_and_again_while_it_starts_is_an_error(world):
    def script() -> Iterator[None]:
        for _ in range(5):
            world.newest("server 1").end(1, error="bind is taken.")
            yield from world.pass_s(2)

    with pytest.raises(LocalError, match=r"^server 1 bind is taken\.\nIt has ended 5 times in a row") as failure:
        world.play(script(), world.supervisor.run)
    assert failure.value.exit_status == 1


def test_a_stop_while_servers_start_starts_no_worker(world):
    def script() -> Iterator[None]:
        world.signals.send(TERM)
        yield

    world.play(script(), world.supervisor.run)
    assert [child.plan.name for child in world.children] == ["server 0", "server 1"]
    assert world.supervisor.stop_signal == TERM


@pytest.mark.parametrize("name", ["server 1", "driver", "worker-1"])
def test_whatever_is_killed_is_started_again(world, name):
    def script() -> Iterator[None]:
        yield from world.pass_s(20)
        world.newest(name).end(-KILL)
        yield from world.pass_s(1)
        assert len(world.all_of(name)) == 2
        world.newest("driver").end(0)

    world.run(script())
    assert f"{name} was killed by signal 9; starting it again." in world.shown.lines


def test_a_server_starts_again_at_its_address_and_an_agent_with_another_address_file(world):
    def script() -> Iterator[None]:
        yield from world.pass_s(20)
        for name in ("server 1", "worker-0"):
            world.newest(name).end(1)
        yield from world.pass_s(1)
        assert [child.flags["--bind"] for child in world.all_of("server 1")] == ["127.0.0.1:0", "127.0.0.1:9001"]
        files = [child.flags["--address-file"] for child in world.all_of("worker-0")]
        assert files == [str(world.workspace.agent_address_file(start)) for start in (1, 3)]
        world.newest("driver").end(0)

    world.run(script())
    assert "worker-0 ended (1); starting it again." in world.shown.lines


def test_a_driver_that_says_why_it_ends_ends_the_training_with_its_status(world):
    def script() -> Iterator[None]:
        yield from world.pass_s(1)
        world.newest("driver").end(3, error="the loss is nan.")

    with pytest.raises(LocalError, match=r"^the loss is nan\.$") as failure:
        world.run(script())
    assert failure.value.exit_status == 3
    assert not world.supervisor.done
    assert not any(child.running for child in world.children)


def test_an_agent_that_ends_five_times_within_seconds_ends_the_training(world):
    def script() -> Iterator[None]:
        for _ in range(5):
            yield from world.pass_s(2)
            world.newest("worker-0").end(1)
        yield from world.pass_s(2)

    with pytest.raises(LocalError, match=r"worker-0 ended with exit status 1.*\nIt has ended 5 times in a row"):
        world.run(script())


def test_a_request_changes_the_number_of_agents_within_its_bounds(world):
    def script() -> Iterator[None]:
        yield from world.pass_s(1)
        world.ask_for(3)
        yield from world.pass_s(1)
        assert [child.plan.name for child in world.children if "worker" in child.plan.name][2:] == ["worker-2"]
        assert world.agents_file() == {"wanted": 3, "agents": {}}
        world.ask_for(1)
        yield from world.pass_s(1)
        assert [world.newest(f"worker-{i}").sent for i in range(3)] == [[], [TERM], [TERM]]
        assert world.agents_file() == {"wanted": 1, "agents": {}}
        for out_of_bounds in (0, 5):
            world.ask_for(out_of_bounds)
            yield from world.pass_s(1)
        assert world.agents_file() == {"wanted": 1, "agents": {}}
        world.newest("driver").end(0)

    world.run(script())
    asked = [line for line in world.shown.lines if line.startswith("Asked")]
    assert asked == ["Asked for 3 workers.", "Asked for 1 workers."]
    assert not any("worker" in line and "starting it again" in line for line in world.shown.lines)


def test_a_request_to_an_earlier_start_counts_no_more(world):
    world.ask_for(4)

    def script() -> Iterator[None]:
        yield from world.pass_s(2)
        assert world.agents_file() == {"wanted": 2, "agents": {}}
        world.newest("driver").end(0)

    world.run(script())


def test_a_request_that_the_storage_refuses_is_read_again_later(world, monkeypatch):
    def refuse(run: Folder) -> None:
        raise StorageError("the store is away")

    monkeypatch.setattr("launcher.local.elastic.read_scale_request", refuse)

    def script() -> Iterator[None]:
        yield from world.pass_s(1)
        world.ask_for(3)
        yield from world.pass_s(1)
        monkeypatch.undo()
        assert world.agents_file() == {"wanted": 2, "agents": {}}
        yield from world.pass_s(1)
        assert world.agents_file() == {"wanted": 3, "agents": {}}
        world.newest("driver").end(0)

    world.run(script())


@pytest.mark.parametrize("by_signal", [True, False])
def test_a_stop_is_the_drivers_to_obey_and_only_servers_are_started_again_meanwhile(world, by_signal):
    def script() -> Iterator[None]:
        yield from world.pass_s(20)
        world.newest("driver").deaf = True
        if by_signal:
            world.signals.send(INT)
        world.stop_requested = not by_signal
        yield from world.pass_s(1)
        assert world.newest("driver").sent == [INT]
        for name in ("worker-0", "server 0"):
            world.newest(name).end(-KILL)
        yield from world.pass_s(2)
        assert [len(world.all_of(name)) for name in ("worker-0", "server 0")] == [1, 2]
        world.newest("driver").end(0)

    world.run(script())
    assert world.supervisor.done
    assert world.supervisor.stop_signal == INT
    assert "SIGINT: the workers save and stop; Ctrl-C again kills them." in world.shown.lines


def test_a_second_ctrl_c_ends_the_watch_at_once_unless_it_is_the_same_keypress(world):
    def script() -> Iterator[None]:
        yield from world.pass_s(1)
        for child in world.children:
            child.deaf = True
        world.signals.send(INT, INT)
        yield from world.pass_s(0.3)
        assert not world.supervisor.killed
        world.signals.send(INT)
        yield

    world.run(script())
    assert world.supervisor.killed
    assert not world.supervisor.done


def test_a_stop_while_no_driver_runs_is_an_error(world):
    def script() -> Iterator[None]:
        yield from world.pass_s(1)
        world.newest("driver").end(-KILL)
        yield from world.pass_s(0.6)  # noticed, and not started again yet
        world.signals.send(TERM)
        yield

    with pytest.raises(LocalError, match="Stopped while no driver ran"):
        world.run(script())


def test_a_driver_that_is_killed_while_the_workers_save_is_an_error(world):
    def script() -> Iterator[None]:
        yield from world.pass_s(1)
        world.newest("driver").deaf = True
        world.signals.send(TERM)
        yield from world.pass_s(1)
        world.newest("driver").end(-KILL)
        yield from world.pass_s(1)

    with pytest.raises(LocalError, match="The driver was killed while the workers saved"):
        world.run(script())


def test_who_does_not_end_at_the_end_is_killed_after_its_grace(world):
    def script() -> Iterator[None]:
        yield from world.pass_s(1)
        world.newest("worker-0").deaf = True
        world.newest("driver").end(0)
        yield from world.pass_s(29)
        assert world.newest("worker-0").sent == [TERM]
        assert world.newest("server 0").sent == []  # a worker may still save
        yield from world.pass_s(2)

    world.run(script())
    assert world.newest("worker-0").sent[:2] == [TERM, KILL]
    assert world.newest("server 0").sent == [TERM]


def test_what_the_driver_has_not_heard_of_for_too_long_is_killed(world):
    def script() -> Iterator[None]:
        yield from world.pass_s(2 * STALL_S + 1)
        world.beat(
            Heartbeat(state="running", silent_servers={0: 2 * STALL_S, 1: 61.0}, silent_agents={"worker-1": 31.0})
        )
        yield from world.pass_s(1)
        assert [world.all_of(name)[0].sent for name in ("server 0", "server 1", "worker-0", "worker-1")] == [
            [], [KILL], [], [KILL]
        ]  # fmt: skip
        world.newest("driver").end(0)

    world.run(script())
    assert "server 1 has not answered for 61 s; killing it." in world.shown.lines
    assert "The agent of worker-1 has not answered for 31 s; killing it." in world.shown.lines


def test_what_was_started_since_is_not_killed_for_the_silence_of_the_one_before(world):
    def script() -> Iterator[None]:
        yield from world.pass_s(STALL_S - 2)
        world.beat(Heartbeat(state="running", silent_servers={1: 61.0}, silent_agents={"worker-1": 31.0}))
        yield from world.pass_s(1)
        assert world.newest("server 1").sent == world.newest("worker-1").sent == []
        world.newest("driver").end(0)

    world.run(script())


def test_a_driver_without_a_heartbeat_is_killed_and_nobody_else_for_what_it_last_said(world):
    def script() -> Iterator[None]:
        yield from world.pass_s(STALL_S + 1)
        world.beat(Heartbeat(state="running", silent_agents={"worker-1": 31.0}), age_s=STALL_S + 2)
        yield from world.pass_s(1)
        assert world.all_of("driver")[0].sent == [KILL]
        assert world.newest("worker-1").sent == []
        world.newest("driver").end(0)

    world.run(script())
    assert "The driver has given no sign of life for 32 s; killing it." in world.shown.lines


def test_the_report_is_what_any_worker_printed(world):
    def script() -> Iterator[None]:
        yield from world.pass_s(1)
        world.newest("worker-1").end(0, report=("Trained.", "AUC 0.6"))
        yield from world.pass_s(1)
        world.newest("driver").end(0)

    world.run(script())
    assert world.supervisor.report == ["Trained.", "AUC 0.6"]
