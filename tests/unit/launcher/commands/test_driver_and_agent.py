"""``esmm driver`` and ``esmm agent``: what they report at their end."""

from types import SimpleNamespace

import pytest

from launcher.agent.config import AgentConfig
from launcher.commands.driver_and_agent import agent_command, driver_command
from tests.unit.launcher.commands.played_context import Messages, make_context


@pytest.mark.parametrize(
    ("restarts", "told"),
    [({}, "Restarts: none."), ({"worker": 2, "server": 1}, "Restarts: 2 x worker, 1 x server.")],
)
@pytest.mark.parametrize(
    ("job", "place"), [(None, "launcher.driver.driver.drive"), ("j", "launcher.cluster.in_pod.drive_job.drive_job")]
)
def test_a_driver_says_how_the_run_ended_and_what_was_restarted(restarts, told, job, place, monkeypatch):
    result = SimpleNamespace(state="done", step=1200, total_steps=5000, restarts=restarts)
    monkeypatch.setattr(place, lambda settings, progress: result)
    outcome = driver_command(SimpleNamespace(job=job), make_context())  # type: ignore[arg-type]
    assert outcome.lines == [f"The run is done after step 1,200 of 5,000. {told}"]


@pytest.mark.parametrize(("starts", "told"), [(1, "1 start."), (3, "3 starts."), (0, "0 starts.")])
def test_an_agent_leaves_stdout_to_its_workers(starts, told, monkeypatch):
    monkeypatch.setattr("launcher.agent.run.run_agent", lambda settings, progress: starts)
    progress = Messages()
    outcome = agent_command(AgentConfig(name="worker-0", command=("--data", "d")), make_context(progress))
    assert progress.texts == [f"Agent worker-0 ends after {told}"]
    assert (outcome.lines, outcome.result) == ([], {"name": "worker-0", "starts": starts})
