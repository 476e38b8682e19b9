"""``esmm agent`` with real processes below it that import no TensorFlow: starts, stops, kills, stalls, the standby."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.agent.client import AgentClient, AgentError
from tests.support.agent_process import PATIENCE_S, AgentProcess, an_agent, is_there, wait_for

STAND_IN = (sys.executable, "-P", str(Path(__file__).with_name("agent_stand_in.py")))
GRACE_S = 1.0
FLAGS = ("--grace-seconds", f"{GRACE_S:g}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made: Path = tmp_path_factory.mktemp("data")
    return made


@pytest.fixture
def data(folder: Path) -> Iterator[Path]:
    """Yield the folder that workers look into, empty again when the test ends."""
    yield folder
    for file in folder.iterdir():
        file.unlink()


@pytest.fixture(scope="module")
def agent(folder: Path, tmp_path_factory) -> Iterator[AgentProcess]:
    where = tmp_path_factory.mktemp("agents") / "worker-0"
    with an_agent(where, "--data", folder, flags=FLAGS, esmm_agent=STAND_IN) as made:
        yield made


@pytest.fixture(scope="module")
def standby_agent(folder: Path, tmp_path_factory) -> Iterator[AgentProcess]:
    where = tmp_path_factory.mktemp("standby") / "worker-0"
    with an_agent(where, "--data", folder, flags=(*FLAGS, "--standby"), esmm_agent=STAND_IN) as made:
        yield made


def test_a_request_without_the_token_is_refused(agent):
    for token in (None, "fedcba9876543210"):
        client = AgentClient(agent.client.address, token)
        for ask in (client.status, lambda c=client: c.start({}), lambda c=client: c.stop(1, "kill", "")):
            with pytest.raises(AgentError, match="401"):
                ask()
    assert agent.status().id is None


def test_a_second_start_kills_the_first(agent):
    first, worker = agent.starts()
    second, other = agent.starts()
    assert second == first + 1
    assert other != worker
    assert not is_there(worker)
    assert not agent.client.stop(first, "kill", "late")
    assert agent.status().running


def test_without_a_standby_the_next_worker_warms_after_the_end_of_the_one_that_runs(agent):
    run_id, worker = agent.starts()
    agent.until(lambda s: s.facts.get("step"), "step")
    time.sleep(1.0)  # twice as long as the agent ever waits
    assert agent.children() == {worker}
    assert agent.status().standby == "none"
    os.kill(worker, signal.SIGKILL)
    status = agent.ended(run_id)
    assert (status.exit_code, status.killed_by, status.error) == (-signal.SIGKILL, None, None)
    assert agent.ready().worker_pid != worker


def test_a_worker_that_stalls_shows_no_sign_of_life_and_is_killed_for_it(agent):
    run_id, worker = agent.starts()
    os.kill(worker, signal.SIGSTOP)
    assert agent.until(lambda s: s.beat_age_s > 2.0, "stall").state == "running"
    assert not agent.client.stop(run_id + 1, "kill", "no such run")
    assert agent.client.stop(run_id, "kill", "stalled")
    status = agent.ended(run_id)
    assert (status.exit_code, status.killed_by, status.beat_age_s) == (-signal.SIGKILL, "stalled", None)
    assert not is_there(worker)


def test_a_worker_that_is_told_to_finish_gets_sigint_and_all_the_time_it_needs(data, agent):
    run_id, worker = agent.starts()
    agent.until(lambda s: s.facts.get("step"), "step")
    os.kill(worker, signal.SIGSTOP)
    assert agent.client.stop(run_id, "finish", "stopped by the user")
    time.sleep(GRACE_S + 0.5)
    assert agent.status().running
    os.kill(worker, signal.SIGCONT)
    status = agent.ended(run_id)
    assert (status.exit_code, status.killed_by) == (3, None)


def test_a_worker_that_cannot_get_ready_is_tried_again_and_says_why(data, agent):
    run_id, _ = agent.starts()
    (data / "broken").touch()
    assert agent.client.stop(run_id, "kill", "")
    status = agent.until(lambda s: s.warm_error, "failure")
    assert status.warm_error == "worker-0 could not get ready: ImportError: no such library"
    assert (status.state, status.id) == ("warming", run_id)
    with pytest.raises(AgentError, match="did not start: worker-0 could not get ready: ImportError"):
        agent.client.start({})
    assert agent.err.count("Trying again in") >= 2
    (data / "broken").unlink()
    assert agent.ready().warm_error is None


def test_a_worker_that_does_not_leave_is_killed_when_the_grace_is_over(data, agent):
    (data / "stubborn").touch()
    run_id, _ = agent.starts()
    agent.until(lambda s: s.facts.get("step"), "step")
    began = time.monotonic()
    assert agent.client.stop(run_id, "leave", "scaled down")
    status = agent.ended(run_id)
    assert time.monotonic() - began >= GRACE_S
    assert status.exit_code == -signal.SIGKILL
    assert status.killed_by == "scaled down (still running 1 s after SIGTERM)"


def test_a_standby_warms_once_the_worker_makes_steps_and_is_started_next(data, standby_agent):
    agent = standby_agent
    (data / "waits").touch()
    run_id, worker = agent.starts()
    agent.until(lambda s: "rank" in s.facts, "place among the ranks")
    time.sleep(1.0)  # twice as long as the agent ever waits
    assert agent.children() == {worker}
    (data / "waits").unlink()
    status = agent.until(lambda s: s.standby == "ready", "standby")
    assert (status.state, status.worker_pid, status.id) == ("running", worker, run_id)
    (standby,) = agent.children() - {worker}
    (data / "cold").touch()  # so that no other one can be ready
    os.kill(worker, signal.SIGKILL)
    assert agent.ready().worker_pid == standby
    assert agent.starts() == (run_id + 1, standby)


def test_a_second_start_is_the_standbys(data, standby_agent):
    agent = standby_agent
    _, worker = agent.starts()
    agent.until(lambda s: s.standby == "ready", "standby")
    (standby,) = agent.children() - {worker}
    (data / "cold").touch()
    assert agent.starts()[1] == standby
    assert not is_there(worker)


def test_a_standby_that_cannot_get_ready_shows_while_the_worker_runs_on(data, standby_agent):
    agent = standby_agent
    (data / "waits").touch()
    run_id, worker = agent.starts()
    (data / "broken").touch()
    (data / "waits").unlink()
    status = agent.until(lambda s: s.warm_error, "failure")
    assert status.warm_error == "worker-0 could not get ready: ImportError: no such library"
    assert (status.state, status.id, status.worker_pid) == ("running", run_id, worker)
    (data / "broken").unlink()
    assert agent.until(lambda s: s.standby == "ready", "standby").warm_error is None
    assert agent.status().worker_pid == worker


def test_a_standby_that_is_killed_is_replaced(standby_agent):
    agent = standby_agent
    _, worker = agent.starts()
    agent.until(lambda s: s.standby == "ready", "standby")
    (standby,) = agent.children() - {worker}
    os.kill(standby, signal.SIGKILL)
    wait_for(lambda: len(agent.children() - {standby}) == 2, "another standby")
    assert agent.until(lambda s: s.standby == "ready", "standby").worker_pid == worker


@pytest.mark.parametrize(
    ("number", "state", "worker"),
    [
        (signal.SIGTERM, "warming", ""),
        (signal.SIGINT, "ready", "stubborn"),  # the standby has ended long before the worker is killed
        (signal.SIGKILL, "ready", ""),
    ],
)
def test_no_standby_outlives_its_agent(data, tmp_path, number, state, worker):
    flags = (*FLAGS, "--standby")
    with an_agent(tmp_path / "worker-0", "--data", data, flags=flags, esmm_agent=STAND_IN) as agent:
        agent.ready()
        if state == "warming":
            (data / "cold").touch()
        if worker:
            (data / worker).touch()
        _, pid = agent.starts()
        agent.until(lambda s: s.standby == state, "standby")
        workers = agent.children()
        assert len(workers) == 2
        agent.process.send_signal(number)
        if worker:
            wait_for(lambda: agent.children() == {pid}, "end of the standby")
        assert agent.process.wait(PATIENCE_S) == (-number if number == signal.SIGKILL else 0)
        wait_for(lambda: not any(map(is_there, workers)), "end of all")


def test_a_worker_that_is_not_started_ends_with_its_agent(agent):  # the last one that uses this agent
    run_id, _ = agent.starts()
    agent.client.stop(run_id, "kill", "")
    worker = agent.ready().worker_pid
    agent.process.send_signal(signal.SIGINT)
    assert agent.process.wait(PATIENCE_S) == 0
    assert not is_there(worker)
