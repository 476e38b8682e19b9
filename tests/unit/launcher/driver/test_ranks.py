"""One life of the ranks beside an ElasticDriver that the test plays: whom it may use, whom it starts, what it learns.

Sleeping lets the test's own clock go on and the next answer of the agents come.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from launcher.driver import ranks as module
from launcher.driver.agent_watch import AgentWatch
from launcher.driver.config import DriverConfig
from launcher.driver.ranks import TRIES_TO_JOIN, Ranks
from tests.unit.launcher.driver.agent_views import NOW, FakeClient, ready_view, status_of, view_of

CONFIG = DriverConfig(run="r", servers="h:1", agents_file=Path("a"), token_file=Path("t"), min_workers=1, max_workers=4)


class PlayedDriver:
    """Horovod's ElasticDriver."""

    def __init__(self, server: Any, discovery: Any, *bounds: Any, **more: Any) -> None:
        self.bounds = bounds
        self.is_finished = False
        self.stopped = 0
        self.host_assignments: dict[str, Any] = {}
        self.asked: list[Any] = []

    def finished(self) -> bool:
        return self.is_finished

    def stop(self) -> None:
        self.stopped += 1

    def wait_for_available_slots(self, number: int) -> None:
        self.asked.append(number)

    def start(self, number: int, run_worker: Any) -> None:
        self.asked.append(run_worker)

    def record_ready(self, host: str, slot: int) -> None:
        self.asked.append((host, slot))

    def get_slot_info(self, host: str, slot: int) -> Any:
        return SimpleNamespace(to_response_string=lambda: f"{host}:{slot} is 1 of 2")


class Listener:
    def __init__(self) -> None:
        self.started: list[tuple[str, dict[str, Any]]] = []
        self.reported: list[dict[str, Any]] = []
        self.ended: list[tuple[str, str, dict[str, Any]]] = []

    def worker_started(self, name: str, facts: Mapping[str, Any]) -> None:
        self.started.append((name, dict(facts)))

    def worker_reported(self, facts: Mapping[str, Any]) -> None:
        self.reported.append(dict(facts))

    def worker_ended(self, event: str, name: str, facts: Mapping[str, Any]) -> None:
        self.ended.append((event, name, dict(facts)))


class Clock:
    """Time that goes on by sleeping; each sleep does the next thing of the test's script."""

    def __init__(self) -> None:
        self.now = NOW
        self.script: list[Callable[[], None]] = []

    def monotonic(self) -> float:
        return self.now

    time = monotonic

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.script:
            self.script.pop(0)()
        else:
            pytest.fail("the script is over, and the worker is still waited for")


@pytest.fixture
def clock(monkeypatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(module, "time", found)
    return found


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def agents() -> AgentWatch:
    return AgentWatch(directory=SimpleNamespace(), token=None, on_event=lambda *_: None)


@pytest.fixture
def ranks(monkeypatch, clock, agents, listener) -> Iterator[Ranks]:
    level = logging.getLogger().level
    monkeypatch.setattr(module, "_elastic_driver", lambda announcements: PlayedDriver)
    made = Ranks(agents, CONFIG, "0123456789abcdef", listener)
    made._run_env = {"HOROVOD_ELASTIC": "1"}
    assert logging.getLogger().level == logging.CRITICAL  # else Horovod logs each of its steps
    yield made
    logging.getLogger().setLevel(level)


def slot_of(host: str, rank: int = 0, size: int = 2) -> SimpleNamespace:
    names = {"rank": rank, "size": size, "local_rank": 0, "local_size": 1, "cross_rank": rank, "cross_size": size}
    return SimpleNamespace(hostname=host, **names)


def test_horovod_may_use_agents_that_are_ready_each_life_as_a_host_of_its_own(ranks, agents, clock):
    agents.views = {
        "worker-0": ready_view("worker-0"),
        "worker-1": view_of("worker-1"),  # runs already, for nobody of this life
        "worker-2": ready_view("worker-2", state="warming"),
        "worker-3": ready_view("worker-3", answered_at=NOW - 11),  # silent
    }
    assert ranks.find_available_hosts_and_slots() == {"worker-0.0": 1}
    ranks._life["worker-0"] = 3
    assert ranks.find_available_hosts_and_slots() == {"worker-0.3": 1}
    ranks.close()
    assert ranks.find_available_hosts_and_slots() == {}


def test_a_started_worker_keeps_its_host_until_its_agent_drains_or_is_gone(ranks, agents):
    ranks._held = {"worker-0": "worker-0.2"}
    ranks.close()  # which takes no new ones, and leaves those that run
    agents.views = {"worker-0": view_of("worker-0")}
    assert ranks.find_available_hosts_and_slots() == {"worker-0.2": 1}
    agents.views = {"worker-0": view_of("worker-0", draining=True)}
    assert ranks.find_available_hosts_and_slots() == {}
    agents.views = {}
    assert ranks.find_available_hosts_and_slots() == {}
    assert ranks.running == ["worker-0"]


def test_a_worker_is_started_with_its_rank_and_its_end_is_the_answer(ranks, agents, clock, listener):
    view = ready_view("worker-0")
    agents.views = {"worker-0": view}

    def train() -> None:
        assert ranks.joined("worker-0.0", 0)
        view.status, view.answered_at = status_of(facts={"phase": "training"}), clock.now

    def end() -> None:
        view.status = status_of(running=False, state="ready", exit_code=0, facts={"rank": 1, "step": 9})

    clock.script = [lambda: None, train, end]
    code, ended_at = ranks._run_worker(slot_of("worker-0.0", rank=1), [])
    assert (code, ended_at) == (0, pytest.approx(NOW + 0.3))
    assert isinstance(view.client, FakeClient)
    environment = view.client.environments[0]
    assert (environment["HOROVOD_RANK"], environment["HOROVOD_SIZE"], environment["HOROVOD_ELASTIC"]) == ("1", "2", "1")
    assert listener.started == [("worker-0", {"rank": 1, "size": 2})]
    assert listener.reported == [{"rank": 1, "step": 9}]  # seen by no one while it ran
    assert ranks._connected == {"worker-0.0"}
    assert (listener.ended, ranks.running, ranks.exits) == ([], [], {"worker-0.0": 0})
    view.status = ready_view("worker-0").status
    view.answered_at = clock.now
    assert ranks.find_available_hosts_and_slots() == {"worker-0.1": 1}  # its next life


def test_a_worker_that_ends_before_it_has_joined_is_tried_again_some_times(ranks, agents, clock, listener):
    view = ready_view("worker-0")
    agents.views = {"worker-0": view}
    client = view.client
    assert isinstance(client, FakeClient)

    def fail() -> None:
        view.status = status_of(id=client.run_id, running=False, exit_code=1)

    clock.script = [fail] * 9
    assert ranks._run_worker(slot_of("worker-0.0"), [])[0] == 1
    assert len(client.environments) == TRIES_TO_JOIN
    facts = {"exit_code": 1, "reason": "exit status 1", "joined": False}
    assert listener.ended == [("worker_lost", "worker-0", facts)] * TRIES_TO_JOIN


def test_one_that_has_joined_is_not_tried_again_in_its_place(ranks, agents, clock, listener):
    view = ready_view("worker-0")
    agents.views = {"worker-0": view}

    def join_and_fail() -> None:
        ranks.joined("worker-0.0", 0)
        view.status = status_of(running=False, exit_code=-9)

    clock.script = [join_and_fail]
    assert ranks._run_worker(slot_of("worker-0.0"), [])[0] == -9
    assert listener.ended == [
        ("worker_lost", "worker-0", {"exit_code": -9, "reason": "killed by signal 9", "joined": True})
    ]


def test_a_wrong_setting_ends_the_tries_and_the_run(ranks, agents, clock):
    view = ready_view("worker-0")
    agents.views = {"worker-0": view}

    def fail() -> None:
        view.status = status_of(running=False, exit_code=2, error="data d is missing")

    clock.script = [fail]
    assert ranks._run_worker(slot_of("worker-0.0"), [])[0] == 2
    assert ranks.fatal == "data d is missing"


def test_an_agent_that_is_away_or_refuses_ends_the_start(ranks, agents, listener):
    assert ranks._run_once("worker-0", slot_of("worker-0.0"), [], 0) == 137  # there is none
    view = ready_view("worker-0")
    view.client = FakeClient(is_away=True)
    agents.views = {"worker-0": view}
    assert ranks._run_once("worker-0", slot_of("worker-0.0"), [], 0) == 137
    assert (listener.started, listener.ended) == ([], [("agent_lost", "worker-0", {"reason": "no reply"})])


def test_the_run_is_killed_at_the_agent_that_has_come_in_between(ranks, agents, clock, listener):
    agents.views = {"worker-0": ready_view("worker-0")}
    successor = ready_view("worker-0")

    def replace() -> None:
        agents.views = {"worker-0": successor}

    clock.script = [replace]
    ranks._joined["worker-0.0"] = threading.Event()
    assert ranks._run_once("worker-0", slot_of("worker-0.0"), [], 0) == 137
    assert isinstance(successor.client, FakeClient)
    assert successor.client.stops == [(1, "kill", "its agent was started again")]
    assert [event for event, _, _ in listener.ended] == ["agent_lost"]


def test_a_worker_is_killed_when_horovod_wants_it_to_end(ranks, agents, clock, listener):
    view = ready_view("worker-0")
    agents.views = {"worker-0": view}
    wanted = threading.Event()

    def run() -> None:
        view.status = status_of()
        wanted.set()

    def end() -> None:
        view.status = status_of(running=False, exit_code=-9)

    clock.script = [run, end]
    assert ranks._run_worker(slot_of("worker-0.0"), [threading.Event(), wanted])[0] == -9
    assert isinstance(view.client, FakeClient)
    assert view.client.stops == [(1, "kill", "its ranks have ended")]
    assert listener.ended == []  # nothing went wrong


def test_a_worker_that_is_to_join_ranks_of_which_one_was_lost_is_killed(ranks, agents, clock):
    view = ready_view("worker-0")
    agents.views = {"worker-0": view}

    def lose_another() -> None:
        view.status = status_of()
        ranks._losses += 1

    def end() -> None:
        view.status = status_of(running=False, exit_code=-9)

    clock.script = [lose_another, end]
    ranks._run_worker(slot_of("worker-0.0"), [])
    assert isinstance(view.client, FakeClient)
    assert view.client.stops == [(1, "kill", "its ranks have ended")]


@pytest.mark.parametrize(("connected", "is_broken"), [({"worker-1.0"}, False), (set(), True)])
def test_the_loss_of_a_rank_breaks_a_rendezvous_while_another_has_not_been_connected(
    ranks, clock, connected, is_broken
):
    ranks._held = {"worker-0": "worker-0.0", "worker-1": "worker-1.0"}
    ranks._joined = {"worker-0.0": threading.Event(), "worker-1.0": threading.Event()}
    ranks._connected = connected
    ranks._note_end("worker-0", "worker-0.0", -9)
    assert (ranks._losses, ranks._broken_at) == (0, 0.0)  # it had not joined: nobody waits for it
    ranks._held["worker-0"] = "worker-0.1"
    ranks._joined["worker-0.1"] = threading.Event()
    ranks.joined("worker-0.1", 0)
    ranks._note_end("worker-0", "worker-0.1", -9)
    assert (ranks._losses, ranks._broken_at) == (1, NOW if is_broken else 0.0)


def test_an_end_as_it_should_be_is_no_loss(ranks):
    ranks._held, ranks._joined = {"worker-0": "worker-0.0"}, {"worker-0.0": threading.Event()}
    ranks.joined("worker-0.0", 0)
    ranks._note_end("worker-0", "worker-0.0", 0)
    assert (ranks._losses, ranks._life) == (0, {"worker-0": 1})


@pytest.mark.parametrize(
    ("joined", "held", "is_hopeless"),
    [
        ([], {"worker-0": "worker-0.0"}, False),  # the first rendezvous is under way
        (["worker-0.0"], {"worker-0": "worker-0.0"}, False),
        (["worker-0.0"], {"worker-0": "worker-0.1"}, True),  # only one that is joining is left: nobody waits for it
        (["worker-0.0"], {}, True),
        (["worker-0.0", "worker-1.0"], {"worker-1": "worker-1.0", "worker-0": "worker-0.1"}, False),
    ],
)
def test_a_life_is_hopeless_when_all_that_had_joined_are_gone(ranks, joined, held, is_hopeless):
    ranks._joined = {host: threading.Event() for host in {*joined, *held.values()}}
    for host in joined:
        ranks.joined(host, 0)
    ranks._held = held
    assert ranks.hopeless is is_hopeless


@pytest.mark.parametrize(
    ("assigned", "exits", "is_done"),
    [
        ([], {}, False),  # nobody was ever assigned
        (["worker-0.0"], {"worker-0.0": 0}, True),
        (["worker-0.0", "worker-1.0"], {"worker-0.0": 0}, False),
        (["worker-0.0", "worker-1.0"], {"worker-0.0": 0, "worker-1.0": 1}, False),
        (["worker-1.0"], {"worker-0.0": 9, "worker-1.0": 0}, True),  # one that was lost before does not count
    ],
)
def test_a_run_is_done_when_each_of_the_last_ranks_is(ranks, assigned, exits, is_done):
    ranks._driver.host_assignments = {host: SimpleNamespace() for host in assigned}
    ranks.exits = exits
    assert ranks.all_done is is_done


def test_a_worker_that_has_joined_gets_announcements_and_one_that_is_unknown_none(ranks):
    assert not ranks.joined("worker-9.0", 0)
    assert ranks.changes("worker-9.0", 0, 0, 20.0) is None
    ranks._joined["worker-0.0"] = threading.Event()
    assert ranks.joined("worker-0.0", 0)
    ranks._announcements["worker-0.0", 0].notify_hosts_updated(1, None)
    assert ranks.joined("worker-0.0", 0)  # after the next rendezvous: the count goes on
    assert ranks.changes("worker-0.0", 0, 0, 20.0) == 1


def test_a_worker_that_stays_asks_horovod_for_its_place(ranks):
    assert ranks.place_of("worker-0.0", 0) == "worker-0.0:0 is 1 of 2"
    assert ranks._driver.asked == [("worker-0.0", 0)]


def test_the_first_ranks_get_their_rendezvous_and_horovod_its_bounds(ranks):
    ranks.start(3)
    try:
        assert ranks._driver.bounds == (1, 4)
        assert ranks._driver.asked == [3, ranks._run_worker]
        environment = ranks._run_env
        assert environment["ESMM_RENDEZVOUS"].startswith("127.0.0.1:")
        assert environment["HOROVOD_GLOO_IFACE"] == "lo"
        assert environment["HOROVOD_GLOO_TIMEOUT_SECONDS"] == "30"
        assert "HOROVOD_GLOO_RENDEZVOUS_ADDR" not in environment  # each worker's relay stands there
    finally:
        ranks._server.stop()


def test_ranks_are_stopped_once_and_not_when_they_have_ended(ranks):
    with module.stopped_at_end(ranks):
        assert not ranks.finished
    assert ranks._driver.stopped == 1
    ranks._driver.is_finished = True
    ranks.stop()
    assert ranks._driver.stopped == 1
