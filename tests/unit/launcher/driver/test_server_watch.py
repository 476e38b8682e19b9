"""The servers as their answers show them. Seconds are the test's own."""

from dataclasses import replace

import pytest

from esmm_dist.errors import RetryError
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.parameter_server.stats import CallStats, ServerStats
from launcher.driver import server_watch as module
from launcher.driver.server_watch import ANSWER_S, SLOW_S, ServerView, ServerWatch

NO_CALLS = CallStats(calls=0, rows=0, calls_per_s=0.0, rows_per_s=0.0, p50_ms=0.0, p99_ms=0.0)
STATS = ServerStats(
    address="h:1",
    index=0,
    count=2,
    run="r",
    generation=4,
    step=70,
    rows_by_table={"user": 5, "item": 2},
    row_bytes=900,
    candidates=0,
    candidate_bytes=0,
    resident_bytes=5000,
    pulls=NO_CALLS,
    pushes=NO_CALLS,
    repeated_pushes=0,
    undone_steps=0,
    lost_steps=0,
    repeated_steps=0,
    refused_calls=0,
    connections=1,
    uptime_s=100.0,
    idle_s=0.0,
)


@pytest.fixture
def view() -> ServerView:
    return ServerView(index=1, address="h:1", answered_at=1000.0)


def test_a_server_that_has_not_answered_yet_is_given_a_while(view):
    status = view.status(1000.0 + SLOW_S)
    assert (status.index, status.address, status.state, status.rows, status.starts) == (1, "h:1", "serving", 0, 1)
    assert view.status(1000.0 + SLOW_S + 0.1).state == "slow"


def test_an_answer_gives_the_servers_figures(view):
    assert not view.note_answer(STATS, 1010.0)
    status = view.status(1010.44)
    assert (status.state, status.step, status.rows, status.resident_bytes) == ("serving", 70, 5 + 2, 5000)
    assert status.silent_s == 0.4


@pytest.mark.parametrize(("has_failed", "state"), [(False, "slow"), (True, "lost")])
def test_a_server_without_an_answer_is_slow_or_lost_and_keeps_its_last_figures(view, has_failed, state):
    view.note_answer(STATS, 1010.0)
    view.has_failed = has_failed
    assert view.status(1010.0 + SLOW_S).state == "serving"  # one call may fail
    late = view.status(1010.0 + SLOW_S + 0.1)
    assert (late.state, late.rows) == (state, 7)
    view.note_answer(STATS, 1020.0)
    assert view.status(1020.0).state == "serving"


def test_a_server_whose_uptime_falls_was_started_again(view):
    assert not view.note_answer(replace(STATS, uptime_s=1.0), 1000.0)  # the first answer says nothing of before
    assert not view.note_answer(replace(STATS, uptime_s=2.0), 1001.0)
    assert view.note_answer(replace(STATS, uptime_s=0.5), 1002.0)
    assert not view.note_answer(replace(STATS, uptime_s=1.5), 1003.0)
    assert view.status(1003.0).starts == 2


@pytest.fixture
def answers(monkeypatch):
    """What each address answers; each question is kept."""
    found: dict[str, ServerStats] = {}
    found_calls: list[ConnectionConfig] = []

    def stats(config: ConnectionConfig) -> list[ServerStats]:
        found_calls.append(config)
        if config.servers not in found:
            raise RetryError("no answer")
        return [found[config.servers]]

    monkeypatch.setattr(module, "server_stats", stats)
    return found, found_calls


def test_each_server_is_asked_by_itself_and_a_restart_is_told(answers):
    stats, calls = answers
    restarted: list[int] = []
    watch = ServerWatch(ConnectionConfig(servers="h:1,h:2"), restarted.append)
    assert watch.generation == 0
    for uptime_s, generation in ((50.0, 3), (0.5, 5)):
        stats["h:2"] = replace(STATS, uptime_s=uptime_s, generation=generation)
        for view in watch._views:
            watch.ask(view)
    assert restarted == [1]
    assert watch.generation == 5
    assert [(call.servers, call.server_timeout_s) for call in calls[:2]] == [("h:1", ANSWER_S), ("h:2", ANSWER_S)]
    first, second = watch.read()
    assert (first.state, first.step, second.starts) == ("serving", 0, 2)  # the first has not been silent for long
    assert watch._views[0].has_failed
