"""``esmm driver`` and ``esmm agent``: the processes that an elastic run adds to its servers and workers."""

from typing import TYPE_CHECKING

from launcher.command import CommandContext, Outcome
from launcher.terminal.json_line import json_value

if TYPE_CHECKING:
    from launcher.agent.config import AgentConfig
    from launcher.driver.config import DriverConfig


def driver_command(settings: "DriverConfig", context: CommandContext) -> Outcome:
    """Assign the ranks of an elastic run, and start them through their agents."""
    if settings.job is not None:
        from launcher.cluster.in_pod.drive_job import drive_job as drive
    else:
        from launcher.driver.driver import drive

    result = drive(settings, context.progress)
    counts = ", ".join(f"{count} x {what}" for what, count in result.restarts.items())
    line = (
        f"The run is {result.state} after step {result.step:,} of {result.total_steps:,}. Restarts: {counts or 'none'}."
    )
    return Outcome(lines=[line], result=json_value(result))


def agent_command(settings: "AgentConfig", context: CommandContext) -> Outcome:
    """Keep one worker ready, and start and stop it as a driver asks, until SIGTERM."""
    from launcher.agent.run import run_agent

    starts = run_agent(settings, context.progress)
    context.progress.message(f"Agent {settings.name} ends after {starts} start{'s' * (starts != 1)}.")
    return Outcome(lines=[], result={"name": settings.name, "starts": starts})  # stdout is its workers'
