"""``esmm agent`` whose worker trains. What needs no training is in ``test_agent_with_stand_ins.py``: it costs less."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.agent.client import AgentError
from tests.support.agent_process import GRACE_S, PATIENCE_S, AgentProcess, an_agent, is_there, wait_for
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(120)

SMALL = ("--global-batch-records", "16", "--embedding-dim", "4", "--hidden-units", "8")


@pytest.fixture(scope="module")
def agent(tmp_path_factory) -> Iterator[AgentProcess]:
    """Yield an agent with a standby, whose worker trains for hours; at first there is no TensorFlow to be found."""
    folder: Path = tmp_path_factory.mktemp("agent")
    write_dataset(folder / "data", {"train": tiny_groups(320), "test": tiny_groups(100, seed=2, first_sample=5000)})
    (folder / "broken").mkdir()
    (folder / "broken" / "tensorflow.py").write_text("raise ImportError('no such library')")
    line = ("--data", folder / "data", "--run", folder / "run", "--epochs", "100000", *SMALL)
    path = f"{folder / 'broken'}:{os.environ.get('PYTHONPATH', '')}"
    flags = ("--grace-seconds", f"{GRACE_S:g}", "--standby")
    with an_agent(folder / "worker-7", *line, flags=flags, PYTHONPATH=path) as made:
        yield made


def test_a_worker_without_a_library_says_so_and_once_it_is_there_warms_in_silence_beside_an_agent_that_is_light(agent):
    status = agent.until(lambda s: s.warm_error, "failure")
    assert status.warm_error == "worker-7 could not get ready: ImportError: no such library"
    (agent.folder.parent / "broken" / "tensorflow.py").unlink()
    status = agent.ready()
    assert (status.name, status.pid, status.id, status.running) == ("worker-7", agent.process.pid, None, False)
    assert (status.beat_age_s, status.error, status.warm_error, status.standby) == (None, None, None, "none")
    assert "tensorflow" in Path(f"/proc/{status.worker_pid}/maps").read_text()
    assert not re.search("tensorflow|arrow|horovod", Path(f"/proc/{status.pid}/maps").read_text())
    resident_kb = int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{status.pid}/status").read_text())[0])
    assert resident_kb < 100_000
    assert agent.out == ""
    first, *more = agent.err.splitlines()
    assert first == f"Agent worker-7 listens on {agent.client.address} (token)"
    assert all("could not get ready: ImportError" in line for line in more), agent.err


def test_a_warm_worker_trains_itself_and_when_it_is_killed_the_standby_takes_its_place(agent):
    warm = agent.ready().worker_pid
    run_id, worker = agent.trains(HOROVOD_RANK="0", HOROVOD_SIZE="1")
    assert worker == warm
    status = agent.until(lambda s: s.beat_age_s is not None and s.beat_age_s < 0.5, "sign of life")
    assert (status.state, status.id, status.running, status.exit_code) == ("running", run_id, True, None)
    assert (status.facts["rank"], status.facts["size"]) == (0, 1)
    os.kill(worker, signal.SIGSTOP)  # has made steps; more would only cost the standby its CPU
    agent.until(lambda s: s.standby == "ready", "standby")
    [standby] = agent.children() - {worker}
    os.kill(worker, signal.SIGKILL)
    status = agent.until(lambda s: s.state == "ready" and s.worker_pid != worker, "successor")
    assert (status.id, status.exit_code, status.killed_by) == (run_id, -signal.SIGKILL, None)
    assert status.worker_pid == standby
    assert not re.search(r"(?i)warning|horovod|gloo", agent.err), agent.err  # nothing of the libraries'


def test_sigterm_to_the_agent_lets_its_worker_leave_and_the_driver_read_how_it_ended(agent):
    run_id, worker = agent.trains()
    os.kill(worker, signal.SIGSTOP)  # so that there is time to look
    agent.until(lambda s: s.standby == "warming", "standby")
    agent.process.send_signal(signal.SIGTERM)
    status = agent.until(lambda s: s.draining, "end")
    assert (status.state, status.running) == ("draining", True)
    wait_for(lambda: agent.children() == {worker}, "end of the standby")
    with pytest.raises(AgentError, match="409: worker-7 is about to end"):
        agent.client.start({})
    with pytest.raises(AgentError, match="503"):
        agent.client._ask("GET", "/healthz", None, 2.0)
    os.kill(worker, signal.SIGCONT)
    status = agent.ended(run_id)
    assert (status.exit_code, status.killed_by, status.worker_pid) == (0, None, None)
    assert agent.process.wait(PATIENCE_S) == 0
    assert not is_there(worker)
    assert not (agent.folder / "address").exists()
