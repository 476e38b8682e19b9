"""How long an agent that ends waits for its driver. Seconds are the test's own."""

import pytest

from launcher.agent.last_status import LAST_STATUS_S, WATCHED_S, LastStatus
from launcher.agent.status import AgentStatus


def status(*, draining: bool = False, running: bool = True) -> AgentStatus:
    return AgentStatus(
        name="worker-0", pid=1, state="draining" if draining else "running", draining=draining, running=running
    )


def test_an_agent_that_nobody_watches_ends_at_once():
    last = LastStatus()
    last.note_end(now=50.0)
    assert last.may_end(50.0)


def test_an_agent_without_a_run_has_nothing_to_wait_for():
    last = LastStatus()
    last.note_read(status(running=False), now=50.0)
    assert last.may_end(50.0)


@pytest.mark.parametrize(("asked_before_s", "waits"), [(0.0, True), (WATCHED_S, True), (WATCHED_S + 0.1, False)])
def test_an_agent_waits_for_a_driver_that_asked_a_moment_ago(asked_before_s, waits):
    last = LastStatus()
    last.note_read(status(), now=100.0 - asked_before_s)
    last.note_end(now=100.0)
    assert last.may_end(100.0 + LAST_STATUS_S - 0.1) is not waits
    assert last.may_end(100.0 + LAST_STATUS_S)


def test_an_agent_ends_once_the_end_was_read():
    last = LastStatus()
    last.note_read(status(draining=True), now=100.0)  # the worker still runs
    last.note_end(now=100.0)
    assert not last.may_end(100.1)
    last.note_read(status(draining=True, running=False), now=100.2)
    assert last.may_end(100.2)
    last.note_read(status(draining=True), now=100.3)  # an older reply, sent late
    assert last.may_end(100.3)
