"""``esmm train`` and ``esmm local``: train in this process, or in several on this machine."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from launcher.command import CommandContext, Outcome
from launcher.terminal.json_line import json_value

if TYPE_CHECKING:
    from esmm_dist.train.config import TrainConfig
    from launcher.local.config import LocalConfig


def train_command(settings: "TrainConfig", context: CommandContext) -> Outcome:
    """Train a model, or resume a run from its last checkpoint."""
    from esmm_dist.train.run import train
    from launcher.agent.worker_link import worker_link

    result = train(settings, context.progress, worker_link())
    return Outcome(lines=result.lines(), result=json_value(result))


def local_command(settings: "LocalConfig", context: CommandContext) -> Outcome:
    """Run parameter servers and workers as processes of this machine."""
    from launcher.local.run import run_local

    return run_local(settings, context.progress, check=context.settings_of_line)


def settings_of_run(flags: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return the settings of an existing run, so that ``esmm train --run RUN`` alone resumes it.

    Where its rows were is left out: without ``--servers`` it goes on in this process. With ``--continue`` so is what
    belongs to its data set before.
    """
    if "run" not in flags:
        return None
    from esmm_dist.train.run_settings import resumed_settings

    return resumed_settings(
        flags["run"],
        continues=flags.get("continue") == "true",
        data=flags.get("data"),
        again=flags.get("again") == "true",
    )
