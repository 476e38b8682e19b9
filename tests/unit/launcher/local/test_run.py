"""What ``esmm local`` returns or raises, with processes that the test plays."""

import functools
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.storage.folder import Folder
from launcher.command import Outcome
from launcher.local.config import LocalConfig
from launcher.local.elastic import ElasticSupervisor
from launcher.local.run import STOPPED, run_local
from launcher.local.supervisor import Supervisor
from launcher.processes.ending import LocalError
from launcher.run_files.run_record import StopRequests, is_held, read_record, request_stop
from tests.support.tiny_dataset import tiny_groups, write_dataset
from tests.unit.launcher.local.played_processes import Shown, World

TERM, INT, HUP, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL


class LocalWorld(World):
    """An ``esmm local`` with one server and one worker, or what the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, run: Path) -> None:
        super().__init__(monkeypatch)
        monkeypatch.setattr("launcher.local.run.SignalInbox", lambda: self.signals)
        for timed in (Supervisor, ElasticSupervisor, StopRequests):
            monkeypatch.setattr(f"launcher.local.run.{timed.__name__}", functools.partial(timed, clock=self.clock))
        self.run_folder, self.data = run, run.with_name("data")

    def listen(self) -> None:
        """Let every server that runs listen."""
        for child in self.children:
            if child.is_server:
                Path(child.flags["--address-file"]).write_text(f"127.0.0.1:{9000 + int(child.flags['--index'])}\n")

    def local(self, script: Iterator[None], *command: str, **settings: Any) -> Outcome:
        """Run the command; its servers listen at once."""

        def from_the_start() -> Iterator[None]:
            self.listen()
            yield
            yield from script

        config = LocalConfig(**{"workers": 1, "command": command or ("train",), **settings})
        outcomes: list[Outcome] = []

        def work() -> None:
            check = lambda line: SimpleNamespace(run=str(self.run_folder), data=self.data)  # noqa: E731
            outcomes.append(run_local(config, self.shown, check=check, esmm=["esmm"]))

        self.play(from_the_start(), work)
        return outcomes[0]


@pytest.fixture
def world(monkeypatch, tmp_path) -> Iterator[LocalWorld]:
    made = LocalWorld(monkeypatch, tmp_path / "run")
    yield made
    made.signals.__exit__()


def test_what_rank_0_printed_is_the_outcome(world):
    def script() -> Iterator[None]:
        assert world.newest("worker 0").flags["--servers"] == "127.0.0.1:9000"
        world.newest("worker 0").end(0, report=("Trained.", "AUC 0.6"))
        yield

    outcome = world.local(script())
    assert (outcome.lines, outcome.result) == (["Trained.", "AUC 0.6"], {})
    assert world.newest("server 0").sent == [TERM]


def test_the_json_of_rank_0_is_the_result(world):
    def script() -> Iterator[None]:
        world.newest("worker 0").end(0, report=("Trained.", json.dumps({"step": 4})))
        yield

    outcome = world.local(script(), "train", "--json")
    assert (outcome.lines, outcome.result) == (["Trained."], {"step": 4})


def test_a_failure_is_raised_with_its_status_and_the_report_of_a_rank_0_that_did_its_work_is_shown(world):
    def script() -> Iterator[None]:
        world.newest("worker 0").end(0, report=("Trained.",))
        world.newest("server 0").end(3, error="the disk is full.")
        yield

    with pytest.raises(LocalError, match=r"^server 0: the disk is full\.") as failure:
        world.local(script())
    assert failure.value.exit_status == 3
    assert "worker 0 | Trained." in world.shown.lines


def test_servers_that_do_not_listen_are_an_error_and_no_worker_starts(world):
    world.listen = lambda: None
    with pytest.raises(LocalError, match="server 0 did not listen within 5 s"):
        world.local(iter(()), start_timeout_s=5.0)
    assert [child.plan.name for child in world.children] == ["server 0"]


@pytest.mark.parametrize("number", [TERM, HUP, INT])
def test_a_stop_after_which_all_is_saved_is_an_outcome(world, number):
    def script() -> Iterator[None]:
        world.newest("worker 0").report.append("Stopped. All is saved.")
        world.signals.send(number)  # whereupon the worker ends with 0
        yield

    assert world.local(script()).lines == ["Stopped. All is saved."]


@pytest.mark.parametrize(("number", "status"), [(TERM, 143), (HUP, 129)])
def test_a_stop_before_the_worker_could_save_is_an_error_with_the_signals_status(world, number, status):
    def script() -> Iterator[None]:
        world.newest("worker 0").deaf = True
        world.signals.send(number)
        yield
        world.newest("worker 0").end(128 + number)
        yield

    with pytest.raises(LocalError, match=re.escape(STOPPED.format(number.name))) as failure:
        world.local(script())
    assert failure.value.exit_status == status


def test_a_ctrl_c_before_the_worker_could_save_is_a_ctrl_c(world):
    def script() -> Iterator[None]:
        world.newest("worker 0").deaf = True
        world.signals.send(INT)
        yield
        world.newest("worker 0").end(-INT)
        yield

    with pytest.raises(KeyboardInterrupt):
        world.local(script())


def test_a_second_ctrl_c_is_a_ctrl_c_whatever_the_processes_did(world):
    def script() -> Iterator[None]:
        world.newest("worker 0").deaf = True
        world.signals.send(INT)
        yield from world.pass_s(1)
        world.signals.send(INT)
        yield

    with pytest.raises(KeyboardInterrupt):
        world.local(script())
    assert KILL in world.newest("worker 0").sent


@pytest.mark.parametrize(("workers", "settings"), [(4, {}), (5, {}), (4, {"max_workers": 5})])
def test_workers_without_a_lane_are_named_before_anything_starts(tmp_path, workers, settings):
    write_dataset(tmp_path, {"train": tiny_groups(4)})  # of four lanes
    config = LocalConfig(command=("train",), workers=workers, servers=1, dry_run=True, **settings)
    shown = Shown()
    check = lambda line: SimpleNamespace(run=str(tmp_path / "run"), data=tmp_path)  # noqa: E731
    run_local(config, shown, check=check)
    idle = workers == 5 or bool(settings)
    assert [text for text in shown.lines if "lanes" in text] == idle * [
        "Warning: 5 ranks train, but the data set has 4 lanes: 1 of them have nothing to read. Start 4 ranks or fewer, "
        "or make the data set with more lanes: esmm preprocess --lanes N."
    ]


def test_a_training_is_recorded_and_locked_and_its_lines_are_kept(world):
    def script() -> Iterator[None]:
        run = Folder.open(world.run_folder)
        assert is_held(run)
        record = read_record(run)
        assert record is not None
        assert record.command == ("local", "--workers", "1", "--", "train", "--data", "d")
        world.newest("worker 0").end(0, report=("Trained.",))
        yield

    world.local(script(), "--data", "d")
    assert not is_held(Folder.open(world.run_folder))
    assert (world.run_folder / "logs/worker-0.log").read_text().endswith(" Trained.\n")


def test_a_request_in_the_run_stops_a_training(world):
    def script() -> Iterator[None]:
        request_stop(Folder.open(world.run_folder))
        yield from world.pass_s(1)
        assert not world.newest("worker 0").running
        yield

    world.local(script())
    assert world.newest("worker 0").sent == [INT]


@pytest.mark.parametrize("word", ["evaluate", "predict"])
def test_other_commands_leave_nothing_in_the_run(world, word):
    def script() -> Iterator[None]:
        world.newest("worker 0").end(0)
        yield

    world.local(script(), word)
    assert not world.run_folder.exists()


def test_a_line_that_is_wrong_starts_nothing(world):
    def refuse(line: object) -> None:
        raise ConfigError("Unknown flag")

    with pytest.raises(ConfigError, match="Unknown flag"):
        run_local(LocalConfig(command=("train", "--x")), world.shown, check=refuse)
    assert world.children == []


def test_an_elastic_training_that_is_done_returns_what_its_rank_0_printed(world):
    def script() -> Iterator[None]:
        yield from world.pass_s(1)
        assert [child.plan.name for child in world.children] == ["server 0", "worker-0", "driver"]
        world.newest("worker-0").end(0, report=("Trained.",))
        yield from world.pass_s(1)
        world.newest("driver").end(0)
        yield

    assert world.local(script(), min_workers=1).lines == ["Trained."]


@pytest.mark.parametrize("last", ["agent", "run"])
def test_the_json_of_an_elastic_training_is_its_runs_and_not_an_agents(world, last):
    of_run, of_agent = json.dumps({"run": "run", "step": 4}), json.dumps({"name": "worker-0", "starts": 1})

    def script() -> Iterator[None]:
        yield from world.pass_s(1)
        lines = (of_run, of_agent) if last == "agent" else (of_agent, of_run)
        world.newest("worker-0").end(0, report=("Trained.", *lines))
        yield from world.pass_s(1)
        world.newest("driver").end(0)
        yield

    outcome = world.local(script(), "train", "--json", min_workers=1)
    assert (outcome.lines, outcome.result) == (["Trained."], {"run": "run", "step": 4})


@pytest.mark.parametrize(("number", "error"), [(INT, KeyboardInterrupt), (TERM, LocalError)])
def test_an_elastic_training_that_is_stopped_before_its_servers_listen_is_not_done(world, number, error):
    world.listen = lambda: world.signals.send(number)
    with pytest.raises(error):
        world.local(iter(()), min_workers=1)
    assert [child.plan.name for child in world.children] == ["server 0"]


def test_an_elastic_training_that_is_stopped_and_saves_is_an_outcome(world):
    def script() -> Iterator[None]:
        yield from world.pass_s(1)
        world.signals.send(INT)  # whereupon the driver has all saved, and ends with 0
        yield

    assert world.local(script(), min_workers=1).lines == []
