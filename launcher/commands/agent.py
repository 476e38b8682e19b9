"""``esmm agent``: keep one worker ready, and start and stop it as a driver asks, until SIGTERM."""

from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome


def _load_settings() -> type:
    from launcher.agent.agent_config import AgentConfig

    return AgentConfig


def _run(settings: Any, progress: Progress) -> Outcome:
    from launcher.agent.run_agent import run_agent

    runs = run_agent(settings, progress)
    progress.message(f"Agent {settings.name} ends after {runs} start{'s' * (runs != 1)}.")
    return Outcome(lines=[], result={"name": settings.name, "starts": runs})  # stdout is its workers'


COMMAND = Command(
    name="agent",
    summary="Run one worker of an elastic training, as its driver asks, until SIGTERM.",
    example="esmm agent --name worker-0 -- train --data data --run run --servers 127.0.0.1:7070",
    load_settings=_load_settings,
    run=_run,
    rest="command",
)
