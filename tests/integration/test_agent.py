"""``esmm agent`` with real processes: starts, stops, kills, stalls, two Horovod ranks; and nothing is left behind."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.elastic.agent_client import AgentClient, AgentError
from launcher.elastic.agent_status import AgentStatus
from launcher.elastic.rendezvous import rendezvous
from launcher.local.plan import horovod_environment
from tests.server_processes import server_processes
from tests.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(120)

PATIENCE_S = 60.0
TOKEN = "0123456789abcdef"
GRACE_S = 40.0
SHORT_GRACE_S = 2.0
SMALL = ("--global-batch-records", "16", "--embedding-dim", "4", "--hidden-units", "8")


def wait_for(condition: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, f"no {what} within {PATIENCE_S:g} s"
        time.sleep(0.02)


def is_there(pid: int) -> bool:
    """Return whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class AgentProcess:
    """An agent of a folder of its own."""

    def __init__(self, folder: Path, *line: str | Path, grace_s: float = GRACE_S, **variables: str) -> None:
        self.folder = folder
        self.workers: set[int] = set()
        (folder / "token").write_text(TOKEN)
        flags = ["--address-file", folder / "address", "--token-file", folder / "token", "--grace-seconds", grace_s]
        command = [sys.executable, "-P", "-m", "launcher", "agent", "--name", folder.name, *flags, "--", *line]
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            environment = os.environ | variables
            self.process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=err, env=environment)
        wait_for(lambda: (folder / "address").exists() or self.process.poll() is not None, "address")
        assert self.process.poll() is None, self.err
        self.client = AgentClient((folder / "address").read_text().strip(), TOKEN)

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text()

    def status(self, after: int = 0) -> AgentStatus:
        status = self.client.status(after)
        if status.worker_pid is not None:
            self.workers.add(status.worker_pid)
        return status

    def until(self, condition: Callable[[AgentStatus], object], what: str) -> AgentStatus:
        found: list[AgentStatus] = []

        def holds() -> bool:
            found[:] = [self.status()]
            return bool(condition(found[0]))

        wait_for(holds, f"{what} of {self.folder.name}")
        return found[0]

    def ended(self, run_id: int) -> AgentStatus:
        return self.until(lambda s: s.id == run_id and not s.running, f"end of run {run_id}")

    def trains(self, **environment: str) -> tuple[int, int]:
        """Start, wait until the training makes steps, and return the run's id and process id."""
        steps = self.out_of_progress()
        run_id = self.client.start({"ESMM_PROGRESS": "json", **environment})
        wait_for(lambda: self.out_of_progress() > steps, "steps")
        worker = self.status().worker_pid
        assert worker is not None
        return run_id, worker

    def out_of_progress(self) -> int:
        return self.err.count('"event": "advance"')

    def close(self) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(AgentError):
                self.status()
            self.process.kill()
        self.process.wait()
        wait_for(lambda: not any(map(is_there, self.workers)), f"end of {self.workers}")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("data")
    write_dataset(folder, {"train": tiny_groups(320), "test": tiny_groups(100, seed=2, first_sample=5000)})
    return folder


@contextlib.contextmanager
def an_agent(folder: Path, *line: str | Path, grace_s: float = GRACE_S, **variables: str) -> Iterator[AgentProcess]:
    folder.mkdir()
    made = AgentProcess(folder, *line, grace_s=grace_s, **variables)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def agent(data: Path, tmp_path_factory) -> Iterator[AgentProcess]:
    """Yield an agent whose worker trains for hours."""
    folder = tmp_path_factory.mktemp("agent")
    line = ("--data", data, "--run", folder / "run", "--epochs", "100000", *SMALL)
    with an_agent(folder / "worker-7", *line) as made:
        yield made


def test_a_worker_warms_in_silence_and_the_agent_itself_stays_light(agent):
    status = agent.until(lambda s: s.state == "ready", "readiness")
    assert (status.name, status.pid, status.id, status.running) == ("worker-7", agent.process.pid, None, False)
    assert (status.beat_age_s, status.error, status.warm_error) == (None, None, None)
    assert "tensorflow" in Path(f"/proc/{status.worker_pid}/maps").read_text()
    assert not re.search("tensorflow|arrow|horovod", Path(f"/proc/{status.pid}/maps").read_text())
    resident_kb = int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{status.pid}/status").read_text())[0])
    assert resident_kb < 100_000
    assert agent.out == ""
    assert agent.err == f"Agent worker-7 listens on {agent.client.address} (token)\n"


def test_a_request_without_the_token_is_refused(agent):
    for token in (None, "fedcba9876543210"):
        client = AgentClient(agent.client.address, token)
        for ask in (client.status, lambda c=client: c.start({}), lambda c=client: c.stop(1, "kill", "")):
            with pytest.raises(AgentError, match="401"):
                ask()
    assert agent.status().id is None


def test_a_warm_worker_starts_at_once_with_its_variables_and_lives(agent):
    agent.until(lambda s: s.state == "ready", "readiness")
    began = time.monotonic()
    run_id, _ = agent.trains(HOROVOD_RANK="0", HOROVOD_SIZE="1")
    assert time.monotonic() - began < 10
    status = agent.status()
    assert (status.state, status.id, status.running, status.exit_code) == ("running", run_id, True, None)
    assert status.facts["rank"] == 0
    assert status.facts["size"] == 1
    agent.until(lambda s: s.beat_age_s is not None and s.beat_age_s < 0.5, "sign of life")


def test_a_second_start_kills_the_first(agent):
    first, worker = agent.trains()
    second, other = agent.trains()
    assert second == first + 1
    assert other != worker
    assert not is_there(worker)
    assert not agent.client.stop(first, "kill", "late")
    assert agent.status().running


def test_a_killed_worker_is_reported_and_another_one_warms(agent):
    run_id, worker = agent.trains()
    os.kill(worker, signal.SIGKILL)
    status = agent.ended(run_id)
    assert (status.exit_code, status.killed_by, status.error) == (-signal.SIGKILL, None, None)
    assert agent.until(lambda s: s.worker_pid, "next worker").worker_pid != worker


def test_a_worker_that_stalls_shows_no_sign_of_life_and_is_killed_for_it(agent):
    run_id, worker = agent.trains()
    os.kill(worker, signal.SIGSTOP)
    assert agent.until(lambda s: s.beat_age_s > 2.0, "stall").state == "running"
    assert agent.client.stop(run_id, "kill", "stalled")
    status = agent.ended(run_id)
    assert (status.exit_code, status.killed_by, status.beat_age_s) == (-signal.SIGKILL, "stalled", None)
    assert not is_there(worker)


def test_a_worker_that_is_told_to_finish_saves_and_goes(agent):
    run_id, _ = agent.trains()
    assert not agent.client.stop(run_id + 1, "kill", "no such run")
    assert agent.client.stop(run_id, "finish", "stopped by the user")
    status = agent.ended(run_id)
    assert (status.exit_code, status.killed_by) == (0, None)
    wait_for(lambda: "Stopped by SIGINT" in agent.out, "report")


def test_sigterm_to_the_agent_lets_its_worker_leave_and_the_driver_read_how_it_ended(agent):
    run_id, worker = agent.trains()
    os.kill(worker, signal.SIGSTOP)  # so that there is time to look
    agent.process.send_signal(signal.SIGTERM)
    status = agent.until(lambda s: s.draining, "end")
    assert (status.state, status.running) == ("draining", True)
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


@pytest.fixture(scope="module")
def broken_library(tmp_path_factory) -> Path:
    """Return a module that is found instead of TensorFlow until a test removes it."""
    module: Path = tmp_path_factory.mktemp("broken") / "tensorflow.py"
    module.write_text("raise ImportError('no such library')")
    return module


@pytest.fixture(scope="module")
def bad_agent(broken_library: Path, tmp_path_factory) -> Iterator[AgentProcess]:
    """Yield an agent whose worker has no data, and at first not even a library."""
    path = f"{broken_library.parent}:{os.environ.get('PYTHONPATH', '')}"
    folder = tmp_path_factory.mktemp("bad") / "worker-0"
    line = ("train", "--data", folder / "nowhere", "--run", folder / "run")
    with an_agent(folder, *line, grace_s=SHORT_GRACE_S, PYTHONPATH=path) as made:
        yield made


def test_a_worker_that_cannot_get_ready_is_tried_again_and_says_why(bad_agent, broken_library):
    status = bad_agent.until(lambda s: s.warm_error, "failure")
    assert status.warm_error == "worker-0 could not get ready: ImportError: no such library"
    assert (status.state, status.id) == ("warming", None)
    with pytest.raises(AgentError, match="did not start: worker-0 could not get ready: ImportError"):
        bad_agent.client.start({})
    assert bad_agent.err.count("Trying again in") >= 2
    broken_library.unlink()
    assert bad_agent.until(lambda s: s.state == "ready", "readiness").warm_error is None


def test_last_words_of_a_bad_run_arrive_with_its_exit_status(bad_agent, broken_library):
    broken_library.unlink(missing_ok=True)
    status = bad_agent.ended(bad_agent.client.start({}))
    assert (status.exit_code, status.exit_status_of_error) == (1, 1)
    assert "nowhere holds no manifest.json" in (status.error or "")


def test_a_worker_that_does_not_leave_is_killed_when_the_grace_is_over(bad_agent, broken_library):
    broken_library.unlink(missing_ok=True)
    worker = bad_agent.until(lambda s: s.state == "ready", "readiness").worker_pid
    assert worker is not None
    os.kill(worker, signal.SIGSTOP)
    run_id = bad_agent.client.start({})
    began = time.monotonic()
    assert bad_agent.client.stop(run_id, "leave", "scaled down")
    status = bad_agent.ended(run_id)
    assert time.monotonic() - began >= SHORT_GRACE_S
    assert status.exit_code == -signal.SIGKILL
    assert status.killed_by == "scaled down (still there 2 s after SIGTERM)"


def test_two_ranks_train_through_two_agents(data, tmp_path):
    with contextlib.ExitStack() as stack:
        servers = stack.enter_context(server_processes(1))
        run = ("--data", data, "--run", tmp_path / "run", "--epochs", "2", "--servers", servers.servers, *SMALL)
        agents = [stack.enter_context(an_agent(tmp_path / f"worker-{rank}", *run)) for rank in range(2)]
        port = stack.enter_context(rendezvous(2))
        ids = [agent.client.start(horovod_environment(rank, 2, port)) for rank, agent in enumerate(agents)]
        statuses = [agent.ended(run_id) for agent, run_id in zip(agents, ids, strict=True)]
        assert [(s.exit_code, s.error) for s in statuses] == [(0, None)] * 2, [agent.err for agent in agents]
        assert [(s.facts["rank"], s.facts["size"]) for s in statuses] == [(0, 2), (1, 2)]
        assert "up to step 40 of 40" in agents[0].out  # 320 records in batches of 16, twice
        assert agents[1].out == ""
        for agent in agents:  # nothing of TensorFlow's or Horovod's
            assert not re.search(r"(?i)warning|horovod|tensorflow|gloo", agent.err), agent.err
        first, second = (agent.until(lambda s: s.worker_pid, "next worker").worker_pid or 0 for agent in agents)
        agents[0].process.send_signal(signal.SIGINT)
        assert agents[0].process.wait(PATIENCE_S) == 0
        assert not is_there(first)
        agents[1].process.kill()  # cleans up nothing itself
        wait_for(lambda: not is_there(second), "end of the worker")
