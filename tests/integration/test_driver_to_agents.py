"""The edge between a driver and its agents, broken by a proxy: the model is that of an undisturbed run."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from esmm_dist.storage import Folder
from esmm_dist.whole_file import write_whole
from launcher.elastic.run_status import RunStatus, read_status
from tests.agent_process import TOKEN, an_agent, wait_for
from tests.fault_proxy import FaultProxy
from tests.saved_models import largest_difference, saved_arrays
from tests.server_processes import server_processes
from tests.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(240)

TRAIN = ["--epochs", "100000", "--global-batch-records", "64", "--embedding-dim", "4"]
TRAIN += ["--checkpoint-every-steps", "100000", "--eval-every-steps", "0", "--hidden-units"]  # linear towers


@contextlib.contextmanager
def a_driver(folder: Path, run: Path, servers: str, agents: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``esmm driver`` on agents at these addresses."""
    write_whole(folder / "agents.json", json.dumps({"wanted": len(agents), "agents": agents}))
    (folder / "token").write_text(TOKEN)
    line = [sys.executable, "-P", "-m", "launcher", "driver", "--run", str(run), "--servers", servers]
    line += ["--agents-file", str(folder / "agents.json"), "--token-file", str(folder / "token"), "--max-workers", "2"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(line, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_resets_delays_black_holes_and_lost_connections_between_driver_and_agents_change_nothing(tmp_path):
    data, run, alone = tmp_path / "data", tmp_path / "run", tmp_path / "alone"
    write_dataset(data, {"train": tiny_groups(640)})
    token = tmp_path / "token"
    token.write_text(TOKEN)
    with server_processes(1, "--token-file", str(token)) as servers, contextlib.ExitStack() as stack:
        words = ["train", "--data", data, "--run", run, *TRAIN, "--servers", servers.servers, "--token-file", token]
        agents = [stack.enter_context(an_agent(tmp_path / f"worker-{i}", *words)) for i in range(2)]
        proxies = {
            a.folder.name: stack.enter_context(FaultProxy((a.folder / "address").read_text().strip())) for a in agents
        }
        addresses = {name: proxy.address for name, proxy in proxies.items()}
        with a_driver(tmp_path, run, servers.servers, addresses) as driver:

            def status() -> RunStatus:
                assert driver.poll() is None, (tmp_path / "log").read_text()
                return read_status(Folder.open(run))

            def goes_on(steps: int) -> None:
                before = status().step
                wait_for(lambda: status().step >= before + steps or driver.poll() == 0, f"{steps} steps")

            wait_for(lambda: (run / "status.json").exists(), "status")
            first, second = proxies.values()
            wait_for(lambda: status().ranks == 2 and status().step > 10, "steps of two ranks")
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
                goes_on(10)
            both = status()
            assert both.ranks == 2
            driver.send_signal(signal.SIGINT)  # all save and end
            assert driver.wait(60) == 0, (tmp_path / "log").read_text()
        final = read_status(Folder.open(run))
        starts = [agent.status().id for agent in agents]
    assert (final.state, dict(final.restarts)) == ("stopped", {})
    assert final.checkpoint_step is not None
    step = final.checkpoint_step
    assert starts == [1, 1]  # no worker was started twice
    line = [sys.executable, "-P", "-m", "launcher", "train", "--data", str(data), "--run", str(alone)]
    line += ["--max-steps", str(step), *TRAIN]
    subprocess.run(line, check=True, capture_output=True, timeout=120)
    assert largest_difference(saved_arrays(run, step), saved_arrays(alone, step)) < 1e-5
