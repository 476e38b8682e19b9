"""The agents as a driver sees them: asked one by one, found and forgotten as their directory says."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from esmm_dist.errors import RetryError
from launcher.agent.status import AgentStatus
from launcher.driver import agent_watch as module
from launcher.driver.agent_watch import SILENT_S, AgentView, AgentWatch
from tests.unit.launcher.driver.agent_views import NOW, FakeClient, ready_view, status_of, view_of


class Directory:
    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def addresses(self) -> Mapping[str, str]:
        return dict(self.found)

    def wanted(self) -> int:
        return len(self.found)

    def trouble(self) -> str:
        return ""


class Answering(FakeClient):
    """An agent with a script of answers; an error is raised."""

    def __init__(self, *answers: AgentStatus | Exception) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked_after: list[int] = []

    def status(self, after: int = 0) -> AgentStatus:
        self.asked_after.append(after)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def directory() -> Directory:
    return Directory()


@pytest.fixture
def events() -> list[tuple[str, str, int]]:
    return []


@pytest.fixture
def watch(directory, events, monkeypatch) -> AgentWatch:
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: NOW))
    return AgentWatch(
        directory=directory,
        token="0123456789abcdef",
        on_event=lambda name, instance, event: events.append((name, instance, event["number"])),
    )


def asked(*answers: AgentStatus | Exception) -> tuple[AgentView, Answering]:
    client = Answering(*answers)
    return AgentView(name="worker-0", client=client, address="h:1", answered_at=NOW - 5), client


def numbered(*numbers: int) -> list[dict[str, Any]]:
    return [{"number": number, "event": "saved"} for number in numbers]


def test_agents_come_and_go_and_move_as_the_directory_says(watch, directory):
    directory.found = {"worker-0": "h:1", "worker-1": "h:2"}
    watch.update_addresses()
    first, second = watch.views["worker-0"], watch.views["worker-1"]
    assert (first.client.address, first.status, first.answered_at) == ("h:1", None, NOW)
    directory.found = {"worker-0": "h:1", "worker-1": "h:3", "worker-2": "h:4"}
    watch.update_addresses()
    assert watch.views["worker-0"] is first
    assert watch.views["worker-1"] is not second  # at another address it is another process
    assert sorted(watch.views) == ["worker-0", "worker-1", "worker-2"]
    directory.found = {}
    watch.update_addresses()
    assert watch.views == {}


def test_an_answer_updates_the_view_and_each_event_is_told_once(watch, events):
    view, client = asked(
        status_of(instance="i", events=numbered(1, 2)),
        status_of(instance="i"),
        status_of(instance="i", events=numbered(3)),
    )
    for _ in range(3):
        assert watch.ask(view) is None
    assert events == [("worker-0", "i", 1), ("worker-0", "i", 2), ("worker-0", "i", 3)]
    assert client.asked_after == [0, 2, 2]
    assert view.answered_at == NOW


def test_an_agent_that_does_not_answer_keeps_its_last_status_and_grows_silent(watch):
    view, _ = asked(status_of(instance="i"), RetryError("no reply"))
    watch.ask(view)
    status, view.answered_at = view.status, NOW - 7
    assert watch.ask(view) is None
    assert (view.status, view.silent_s(NOW)) == (status, 7.0)


def test_another_process_at_the_same_address_gets_a_view_of_its_own_and_tells_its_events_from_the_first(watch, events):
    view, client = asked(
        status_of(instance="i", events=numbered(1, 2)),
        status_of(instance="k", events=numbered(1)),
        status_of(instance="k", events=numbered(1)),
    )
    watch.ask(view)
    successor = watch.ask(view)
    assert successor is not None
    assert (successor.name, successor.address, successor.client) == ("worker-0", "h:1", client)
    assert successor.status is not None
    assert list(successor.status.events) == []  # they are asked for anew
    assert view.status is not None
    assert view.status.instance == "i"
    assert events == [("worker-0", "i", 1), ("worker-0", "i", 2)]
    assert watch.ask(successor) is None
    assert events[2:] == [("worker-0", "k", 1)]
    assert client.asked_after == [0, 2, 0]


@pytest.mark.parametrize(
    ("view", "is_ready"),
    [
        (ready_view("worker-0"), True),
        (ready_view("worker-0", answered_at=NOW - SILENT_S), False),
        (ready_view("worker-0", state="warming"), False),
        (ready_view("worker-0", state="draining"), False),
        (view_of("worker-0"), False),
        (AgentView(name="worker-0", client=FakeClient(), answered_at=NOW), False),
    ],
)
def test_a_worker_waits_for_a_start_where_a_live_agent_says_so(view, is_ready):
    assert view.is_ready(NOW) is is_ready


def test_the_thread_asks_all_agents_and_ends_when_it_is_closed(directory, monkeypatch):
    monkeypatch.setattr(module, "POLL_S", 0.001)
    monkeypatch.setattr(module, "AgentClient", lambda address, token, tls: Forever(address))
    directory.found = {"worker-0": "h:1", "worker-1": "h:2"}
    watch = AgentWatch(directory=directory, token=None, on_event=lambda *_: None)
    watch.start()
    while len(watch.views) < 2 or any(view.status is None for view in watch.views.values()):
        pass
    watch.close()
    watch.close()
    assert {name: view.running.facts["from"] for name, view in watch.views.items() if view.running} == {
        "worker-0": "h:1",
        "worker-1": "h:2",
    }


class Forever(FakeClient):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.from_address = address

    def status(self, after: int = 0) -> AgentStatus:
        return status_of(facts={"from": self.from_address})
