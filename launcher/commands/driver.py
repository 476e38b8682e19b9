"""``esmm driver``: say who the ranks of an elastic run are, and start them through their agents."""

from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome
from launcher.terminal.json_line import json_value


def _load_settings() -> type:
    from launcher.driver.driver_config import DriverConfig

    return DriverConfig


def _run(settings: Any, progress: Progress) -> Outcome:
    if settings.job is not None:
        from launcher.cluster.in_pod.drive_job import drive_job as drive
    else:
        from launcher.driver.driver import drive

    result = drive(settings, progress)
    counts = ", ".join(f"{count} x {what}" for what, count in result.restarts.items())
    line = (
        f"The run is {result.state} after step {result.step:,} of {result.total_steps:,}. Restarts: {counts or 'none'}."
    )
    return Outcome(lines=[line], result=json_value(result))


COMMAND = Command(
    name="driver",
    summary="Assign the ranks of an elastic run to its agents (esmm local and cluster jobs start it).",
    example="esmm driver --run run --agents-file agents.json --servers 127.0.0.1:7070 --max-workers 4",
    load_settings=_load_settings,
    run=_run,
)
