"""A real ``esmm agent`` over TLS that is started again at its address, as a container is: the watch sees it."""

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from launcher.agent.client import AgentClient
from launcher.agent.tls import driver_tls
from launcher.driver.agent_watch import AgentWatch
from launcher.driver.worker_watch import WorkerEnd, WorkerWatch
from tests.support.agent_process import TOKEN, AgentProcess, an_agent, wait_for
from tests.support.certificates import Authority

STAND_IN = (sys.executable, "-P", str(Path(__file__).with_name("agent_stand_in.py")))


class OneAgent:
    """A directory of one agent at an address that stays."""

    def __init__(self, address: str) -> None:
        self.address = address

    def addresses(self) -> Mapping[str, str]:
        return {"worker-0": self.address}

    def wanted(self) -> int:
        return 1

    def trouble(self) -> str:
        return ""


@contextlib.contextmanager
def agent_at(folder: Path, authority: Authority, bind: str) -> Iterator[AgentProcess]:
    pair = authority.sign("agent")
    flags = ("--bind", bind, "--tls-cert", str(pair.cert), "--tls-key", str(pair.key), "--grace-seconds", "1")
    folder.parent.mkdir()
    with an_agent(folder, "--data", folder.parent, flags=flags, esmm_agent=STAND_IN) as made:
        yield made


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_an_agent_started_again_at_its_address_is_a_lost_agent_and_a_new_one(tmp_path, authority):
    tls = driver_tls(authority.cert)
    events: list[tuple[str, Any]] = []
    with agent_at(tmp_path / "a/worker-0", authority, "127.0.0.1:0") as first:
        address = first.client.address
        assert "(TLS, token)" in first.err
        watch = AgentWatch(
            directory=OneAgent(address),
            token=TOKEN,
            on_event=lambda name, instance, event: events.append((instance, event["event"])),
            tls=tls,
        )
        watch.start()
        wait_for(lambda: "worker-0" in watch.views and watch.views["worker-0"].status is not None, "status")
        view = watch.views["worker-0"]
        run_id = AgentClient(address, TOKEN, tls=tls).start({})
        wait_for(lambda: view.status is not None and view.status.running, "run")
        first.process.kill()
        first.process.wait()
    with agent_at(tmp_path / "b/worker-0", authority, address):
        wait_for(lambda: watch.views["worker-0"] is not view, "view of its successor")
        successor = watch.views["worker-0"]
        assert view.status is not None
        assert successor.status is not None
        assert successor.status.instance not in ("", view.status.instance)
        assert not successor.status.running
        end = WorkerWatch(run_id, 30.0).judge(view, successor, time.monotonic(), is_over=False, broken_at=0.0)
        assert end == WorkerEnd(exit_code=137, event="agent_lost", reason="its agent was started again")
        watch.close()
