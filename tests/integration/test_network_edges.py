"""The edges between a driver and its agents, and between ranks, broken by proxies: the model of an undisturbed run.

Those to the servers are broken in tests/parallel/test_network_faults.py.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from esmm_dist.storage.folder import Folder
from esmm_dist.storage.whole_file import write_whole
from launcher.cli import main
from launcher.run_files.run_status import RunStatus, read_status
from tests.support.agent_process import TOKEN, an_agent, wait_for
from tests.support.fault_proxy import FaultProxy
from tests.support.proxied_ranks import edges_between_ranks
from tests.support.saved_models import largest_difference, saved_arrays
from tests.support.secret_files import write_secret
from tests.support.server_processes import server_processes
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(240)

TRAIN = ["--epochs", "100000", "--global-batch-records", "64", "--embedding-dim", "4"]
TRAIN += ["--checkpoint-every-steps", "100000", "--eval-every-steps", "0", "--hidden-units"]  # linear towers


@contextlib.contextmanager
def a_driver(
    folder: Path, run: Path, servers: str, agents: dict[str, str], module: Sequence[str] = ("launcher",)
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``esmm driver`` on agents at these addresses."""
    write_whole(folder / "agents.json", json.dumps({"wanted": len(agents), "agents": agents}))
    write_secret(folder / "token", TOKEN)
    line = [sys.executable, "-P", "-m", *module, "driver", "--run", str(run), "--servers", servers]
    line += ["--agents-file", str(folder / "agents.json"), "--token-file", str(folder / "token"), "--max-workers", "2"]
    with (folder / "log").open("wb") as log:
        environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
        process = subprocess.Popen(line, stdout=log, stderr=log, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Training:
    """Two ranks that train under a driver of a test."""

    def __init__(self, folder: Path, run: Path, driver: subprocess.Popen[bytes]) -> None:
        self.log, self.run, self.driver = folder / "log", run, driver
        wait_for(lambda: (run / "status.json").exists(), "status")
        wait_for(lambda: self.status().ranks == 2 and self.status().step > 10, "steps of two ranks")

    def status(self) -> RunStatus:
        assert self.driver.poll() is None, self.log.read_text()
        return read_status(Folder.open(self.run))

    def goes_on(self) -> None:
        before = self.status().step
        wait_for(lambda: self.status().step >= before + 10, "10 steps")

    def stop(self) -> int:
        """Have all save and end; return the step of the checkpoint."""
        assert self.status().ranks == 2
        self.driver.send_signal(signal.SIGINT)
        assert self.driver.wait(60) == 0, self.log.read_text()
        final = read_status(Folder.open(self.run))
        assert (final.state, dict(final.restarts)) == ("stopped", {})
        assert final.checkpoint_step is not None
        return final.checkpoint_step


@pytest.fixture
def data(tmp_path):
    write_dataset(tmp_path / "data", {"train": tiny_groups(640)})
    write_secret(tmp_path / "token", TOKEN)
    return tmp_path / "data"


def difference_from_one_process(tmp_path: Path, data: Path, run: Path, step: int) -> float:
    alone = tmp_path / "alone"
    assert main(["train", "--data", str(data), "--run", str(alone), "--max-steps", str(step), *TRAIN]) == 0
    return largest_difference(saved_arrays(run, step), saved_arrays(alone, step))


@pytest.mark.slow  # its short form: the next one
def test_resets_delays_black_holes_and_lost_connections_between_driver_and_agents_change_nothing(tmp_path, data):
    run, token = tmp_path / "run", tmp_path / "token"
    with server_processes(1, "--token-file", str(token)) as servers, contextlib.ExitStack() as stack:
        words = ["train", "--data", data, "--run", run, *TRAIN, "--servers", servers.servers, "--token-file", token]
        agents = [stack.enter_context(an_agent(tmp_path / f"worker-{i}", *words)) for i in range(2)]
        proxies = [stack.enter_context(FaultProxy(agent.address)) for agent in agents]
        addresses = {agent.folder.name: proxy.address for agent, proxy in zip(agents, proxies, strict=True)}
        with a_driver(tmp_path, run, servers.servers, addresses) as driver:
            training = Training(tmp_path, run, driver)
            first, second = proxies
            for fault in (
                lambda: second.reset(),
                lambda: first.reset_after(60, "down"),  # in the middle of an answer
                lambda: second.reset_after(20, "up"),  # in the middle of a question
                lambda: first.delay(1.0),
                lambda: second.half_open(),
                lambda: first.black_hole(),
                lambda: second.refuse(),
            ):
                fault()
                time.sleep(3.0)
                first.heal()
                second.heal()
                training.goes_on()
            step = training.stop()
        assert [agent.status().id for agent in agents] == [1, 1]  # no worker was started twice
    assert difference_from_one_process(tmp_path, data, run, step) < 1e-5


def test_resets_delays_black_holes_and_lost_connections_between_ranks_change_nothing(tmp_path, data):
    run, token = tmp_path / "run", tmp_path / "token"
    with server_processes(1, "--token-file", str(token)) as servers, contextlib.ExitStack() as stack:
        words = ["train", "--data", data, "--run", run, *TRAIN, "--servers", servers.servers, "--token-file", token]
        agents = [stack.enter_context(an_agent(tmp_path / f"worker-{i}", *words)) for i in range(2)]
        addresses = {agent.folder.name: agent.address for agent in agents}
        module = ("tests.support.proxied_ranks", str(tmp_path / "edges"), "5")
        with a_driver(tmp_path, run, servers.servers, addresses, module) as driver:
            training = Training(tmp_path, run, driver)
            with edges_between_ranks(tmp_path / "edges") as edges:
                for command, *args in (
                    ("reset",),
                    ("reset_after", 30, "up"),  # in the middle of what is summed
                    ("reset_after", 30, "down"),
                    ("delay", 0.2),
                    ("half_open",),
                    ("black_hole",),
                ):
                    before = edges("heal")
                    edges(command, *args)
                    time.sleep(1.0)
                    edges("heal")
                    training.goes_on()
                    now = edges("heal")
                    assert now["resets"] > before["resets"] or not command.startswith("reset")
                    assert now["made"] > before["made"] or command == "delay"  # they have met anew
            step = training.stop()
        assert [agent.status().id for agent in agents] == [1, 1]  # no worker was started twice
    assert difference_from_one_process(tmp_path, data, run, step) < 1e-5
