"""The driver's way from one life of the ranks to the next, with ranks and agents that the test plays. Nobody sleeps."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from esmm_dist.errors import RetryError, StorageError
from esmm_dist.progress import NoProgress
from launcher.driver import driver as module
from launcher.driver.agent_directory import FileDirectory
from launcher.driver.agent_watch import AgentView
from launcher.driver.config import DriverConfig
from launcher.driver.driver import Driver, DriverError, DriverResult
from tests.support.secret_files import write_secret
from tests.unit.launcher.driver.agent_views import FakeClient, ready_view, status_of, view_of


class Life:
    """One life of the ranks: what happens at each look of the driver, and how it ends."""

    def __init__(self, *looks: Callable[["PlayedRanks"], None], all_done: bool = False) -> None:
        self.looks, self.all_done = list(looks), all_done


class PlayedRanks:
    def __init__(self, life: Life) -> None:
        self._life = life
        self.started_with = 0
        self.running: list[str] = ["worker-0"]
        self.fatal: str | None = None
        self.hopeless = False
        self.is_closed = False
        self.stopped = 0

    @property
    def finished(self) -> bool:
        if self._life.looks:
            self._life.looks.pop(0)(self)
            return False
        self.running = []
        return True

    @property
    def all_done(self) -> bool:
        return self._life.all_done

    def start(self, num_ranks: int) -> None:
        self.started_with = num_ranks

    def close(self) -> None:
        self.is_closed = True

    def stop(self) -> None:
        self.stopped += 1


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


class Drive:
    """A driver that is never entered: nothing of it runs in threads."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.messages = folder, Messages()
        self.lives: list[Life] = []
        self.ranks: list[PlayedRanks] = []
        self.now = 1000.0
        self.on_sleep: list[Callable[[], None]] = []
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(module, "Ranks", self._ranks)
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self._sleep))
        token = write_secret(folder / "token", "0123456789abcdef")
        self.config = DriverConfig(
            run=str(folder / "run"), servers="127.0.0.1:2", agents_file=folder / "agents.json", token_file=token
        )
        self.driver = self.make()

    def make(self, **more: Any) -> Driver:
        driver = Driver(self.config, self.messages, FileDirectory(self.folder / "agents.json"), **more)
        driver._agents.views = {"worker-0": ready_view("worker-0")}
        return driver

    def see(self, *views: AgentView) -> None:
        self.driver._agents.views = {view.name: view for view in views}

    def trained(self, step: int, total_steps: int = 100) -> None:
        """Have rank 0 report a step."""
        self.see(view_of("worker-0", facts={"rank": 0, "step": step, "total_steps": total_steps}))
        self.driver._observed.update()
        self.see(ready_view("worker-0"))

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.driver.event_lines(99)]

    def _ranks(self, agents: Any, config: Any, token: str, listener: Any) -> PlayedRanks:
        assert (agents, config, token) == (self.driver._agents, self.config, "0123456789abcdef")
        assert listener is self.driver
        self.ranks.append(PlayedRanks(self.lives.pop(0)))
        return self.ranks[-1]

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.on_sleep:
            self.on_sleep.pop(0)()


@pytest.fixture
def drive(tmp_path, monkeypatch) -> Drive:
    return Drive(tmp_path, monkeypatch)


def test_a_run_is_done_when_its_ranks_are_and_all_steps_are_made(drive):
    drive.lives = [Life(lambda ranks: drive.trained(100), all_done=True)]
    assert drive.driver.run() == DriverResult(state="done", step=100, total_steps=100, restarts={})
    assert drive.events() == ["driver_started", "done"]
    (ranks,) = drive.ranks
    assert (ranks.started_with, ranks.stopped, ranks.is_closed) == (1, 1, False)


def test_ranks_that_end_early_and_in_good_order_leave_a_run_that_can_go_on(drive):
    drive.lives = [Life(lambda ranks: drive.trained(40), all_done=True)]
    assert drive.driver.run().state == "stopped"


def test_when_all_workers_are_lost_the_next_life_begins_with_the_last_checkpoint(drive):
    drive.lives = [
        Life(lambda ranks: drive.trained(57)),
        Life(),
        Life(lambda ranks: drive.trained(100), all_done=True),
    ]
    result = drive.driver.run()
    assert (result.state, result.restarts) == ("done", {"all restarted": 2})
    assert drive.messages.texts == ["All workers have ended; they start again from the last checkpoint."] * 2
    assert [ranks.stopped for ranks in drive.ranks] == [1, 1, 1]
    assert json.loads(drive.driver.event_lines(99)[1])["step"] == 57


def test_a_hopeless_life_is_given_up_while_workers_still_wait(drive):
    def lose(ranks: PlayedRanks) -> None:
        ranks.hopeless = True

    drive.lives = [Life(lose, lambda ranks: pytest.fail("looked at again")), Life(all_done=True)]
    drive.driver.run()
    assert drive.ranks[0].stopped == 1


@pytest.mark.parametrize("when", ["while they run", "at their end"])
def test_what_is_wrong_for_every_worker_ends_the_run_with_its_reason(drive, when):
    def fail(ranks: PlayedRanks) -> None:
        ranks.fatal = "data d is missing"
        ranks.hopeless = when == "at their end"

    drive.lives = [Life(fail, lambda ranks: None)]
    with pytest.raises(DriverError, match="^data d is missing$"):
        drive.driver.run()
    assert (drive.driver.status().state, drive.driver.status().error) == ("failed", "data d is missing")
    assert drive.events() == ["driver_started", "failed"]
    assert drive.ranks[0].stopped == 1


@pytest.mark.parametrize(
    ("has_publisher", "error", "state"),
    [
        (True, StorageError("full"), "starting"),  # whoever publishes starts the driver again
        (False, StorageError("full"), "failed"),
        (True, DriverError("hopeless"), "failed"),
    ],
)
def test_an_error_that_may_pass_is_no_end_where_the_driver_is_started_again(drive, has_publisher, error, state):
    def fail(ranks: PlayedRanks) -> None:
        raise error

    if has_publisher:
        drive.driver = drive.make(publisher=SimpleNamespace())
    drive.lives = [Life(fail)]
    with pytest.raises(type(error)):
        drive.driver.run()
    assert drive.driver.status().state == state


def test_a_stop_asks_each_worker_once_to_save_and_ends_with_the_last(drive):
    client = FakeClient()

    def begin(ranks: PlayedRanks) -> None:
        view = view_of("worker-0", id=3)
        view.client = client
        drive.see(view)
        ranks.running = ["worker-0", "worker-1"]  # the second has no agent any more
        drive.driver.finish()

    def end(ranks: PlayedRanks) -> None:
        ranks.running = []

    drive.lives = [Life(begin, lambda ranks: None, end, lambda ranks: pytest.fail("looked at again"))]
    assert drive.driver.run().state == "stopped"
    assert client.stops == [(3, "finish", "the training stops")]
    assert drive.ranks[0].is_closed
    assert drive.events() == ["driver_started", "stopped"]


def test_a_stop_before_anything_was_started_starts_nothing(drive):
    drive.driver.finish()
    assert drive.driver.run() == DriverResult(state="stopped", step=0, total_steps=0, restarts={})
    assert drive.ranks == []


def test_a_stop_while_too_few_workers_are_ready_ends_the_wait(drive):
    drive.see(ready_view("worker-0", state="warming", warm_error="no tensorflow"))
    drive.on_sleep = [lambda: None, drive.driver.finish]
    assert drive.driver.run().state == "stopped"
    assert drive.driver.status().error == "worker-0 cannot get ready: no tensorflow"
    assert drive.ranks == []


def test_workers_of_an_earlier_driver_save_and_end_before_the_first_life(drive):
    view = view_of("worker-0", id=8)
    assert isinstance(view.client, FakeClient)
    drive.see(view)

    def end() -> None:
        view.status = status_of("worker-0", state="ready", running=False, id=8)

    drive.on_sleep = [lambda: None, end]
    drive.lives = [Life(all_done=True)]
    result = drive.driver.run()
    assert view.client.stops == [(8, "finish", "another driver has taken over")]
    assert result.restarts == {"driver lost": 1}
    assert drive.messages.texts == ["Took over from an earlier driver; 1 worker saved and starts again."]
    assert drive.events() == ["driver_started", "driver_lost", "stopped"]


def test_an_agent_that_cannot_be_asked_to_stop_is_no_error(drive):
    view = view_of("worker-0")
    view.client = FakeClient(is_away=True)
    module._stop(view, "kill", "why")
    view.status = None
    module._stop(view, "kill", "why")


@pytest.mark.parametrize(("event", "counts"), [("worker_lost", True), ("worker_stalled", True), ("worker_left", False)])
def test_ends_of_workers_are_told_and_losses_counted(drive, event, counts):
    for _ in range(6):
        drive.driver.worker_ended(event, "worker-0", {"exit_code": 1, "reason": "no\nroom"})
    assert drive.messages.texts[0] == f"worker-0: {event.replace('_', ' ')} (no\\nroom)"
    assert drive.events() == [event] * 6
    drive.lives = [Life(lambda ranks: None, all_done=True)]
    if counts:
        with pytest.raises(DriverError, match="worker-0 was lost 6 times without a step in between"):
            drive.driver.run()
    else:
        drive.driver.run()


def test_ends_of_workers_while_the_run_stops_are_no_losses(drive):
    drive.driver._observed.state = "stopping"
    drive.driver.worker_ended("worker_lost", "worker-0", {"reason": "it saved"})
    assert (drive.events(), drive.messages.texts) == ([], [])


def test_starts_are_counted_and_kept_with_their_rank(drive):
    for _ in range(2):
        drive.driver.worker_started("worker-0", {"rank": 1, "size": 2})
    assert json.loads(drive.driver.event_lines(1)[0])["rank"] == 1
    assert drive.driver._observed.starts == {"worker-0": 2}


def test_the_last_facts_of_a_worker_are_the_runs(drive):
    drive.driver.worker_reported({"rank": 0, "step": 7, "total_steps": 9})
    assert (drive.driver._observed.step, drive.driver._observed.total_steps) == (7, 9)


def test_a_server_that_was_started_again_is_told(drive):
    drive.driver._note_server_restart(3)
    assert drive.events() == ["server_lost"]
    assert drive.messages.texts == ["server 3 was started again; its rows come from the last checkpoint."]


@pytest.mark.parametrize(
    ("event", "ends_the_run"),
    [
        ({"event": "failed", "gives_up": True, "error": "data d is damaged"}, True),
        ({"event": "failed", "gives_up": False, "error": "a rank was lost"}, False),
        ({"event": "saved", "step": 4}, False),
    ],
)
def test_a_worker_that_says_that_trying_again_cannot_help_ends_the_run(drive, event, ends_the_run):
    event = {"number": 1, "time": 5.0, **event}
    for _ in range(2):  # the second time it is known
        drive.driver._note_worker_event("worker-0", "i", event)
    assert drive.events() == [event["event"]]
    drive.lives = [Life(lambda ranks: None, all_done=True)]
    if ends_the_run:
        with pytest.raises(DriverError, match="^data d is damaged$"):
            drive.driver.run()
    else:
        drive.driver.run()


def test_sigint_asks_to_stop_and_sigterm_ends_the_process_at_once(drive, monkeypatch):
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    drive.driver._on_signal(signal.SIGTERM, None)
    assert ended == [128 + 15]
    ended.clear()
    drive.driver._on_signal(signal.SIGINT, None)
    assert (ended, drive.driver._finish.is_set()) == ([], True)


@pytest.fixture
def entered(drive, monkeypatch) -> tuple[Drive, list[str]]:
    """A driver whose threads are played; what is begun and ended, in order."""
    done: list[str] = []
    publisher = SimpleNamespace(begin=lambda source: done.append("begin"), close=lambda: done.append("close"))
    drive.driver = drive.make(publisher=publisher)
    for name in ("_agents", "_servers", "_writer"):
        part = getattr(drive.driver, name)
        for verb in ("start", "close"):
            monkeypatch.setattr(part, verb, lambda what=f"{verb} {name[1:]}": done.append(what))
    return drive, done


def test_all_is_written_before_the_publisher_closes_and_the_handlers_are_restored(entered):
    drive, done = entered
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with drive.driver as driver:
        assert signal.getsignal(signal.SIGTERM) == driver._on_signal
        driver.finish()
        driver.run()
    assert done == [
        "start agents",
        "start servers",
        "start writer",
        "begin",
        "close writer",
        "close agents",
        "close servers",
        "close",
    ]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert json.loads((drive.folder / "run/status.json").read_text())["state"] == "stopped"


def test_the_last_status_is_written_after_an_error_too(entered):
    drive, _ = entered

    def fail(ranks: PlayedRanks) -> None:
        raise RetryError("no storage")

    drive.lives = [Life(fail)]
    with pytest.raises(RetryError, match="no storage"), drive.driver as driver:
        driver.run()
    assert json.loads((drive.folder / "run/status.json").read_text())["error"] == "no storage"
