"""The status of a driver that has not begun, with agents that it was told about."""

import time

from esmm_dist.progress import NoProgress
from launcher.agent.client import AgentClient
from launcher.agent.status import AgentStatus
from launcher.driver.agents import AgentView, FileDirectory
from launcher.driver.config import DriverConfig
from launcher.driver.driver import _Driver
from tests.secret_files import write_secret


def view_of(name: str, **facts: object) -> AgentView:
    status = AgentStatus(
        name=name,
        pid=10,
        worker_pid=11,
        state="running",
        draining=False,
        id=1,
        running=True,
        exit_code=None,
        killed_by=None,
        error=None,
        exit_status_of_error=None,
        warm_error=None,
        beat_age_s=0.1,
        facts=facts,
    )
    client = AgentClient("127.0.0.1:1", "a" * 16)
    return AgentView(name=name, client=client, status=status, answered_at=time.monotonic())


def test_the_runs_step_is_never_older_than_its_workers(tmp_path):
    agents = tmp_path / "agents.json"
    token = write_secret(tmp_path / "token", "0123456789abcdef")
    config = DriverConfig(run=str(tmp_path / "run"), servers="127.0.0.1:2", agents_file=agents, token_file=token)
    driver = _Driver(config, NoProgress(), FileDirectory(agents), None)
    assert (driver.status().step, driver.status().workers) == (0, ())
    driver._agents.views = {
        "worker-0": view_of("worker-0", rank=1, step=752, total_steps=2799),
        "worker-1": view_of("worker-1", rank=0, step=753, total_steps=2799),
    }
    seen = driver.status()
    assert (seen.step, seen.total_steps) == (753, 2799)
    assert [worker.step for worker in seen.workers] == [752, 753]
