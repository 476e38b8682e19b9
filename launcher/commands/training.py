"""``esmm train`` and ``esmm local``: train in this process, or in several on this machine."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from launcher.command import CommandContext, Outcome
from launcher.terminal.json_line import json_value
from launcher.terminal.metrics_table import metrics_table

if TYPE_CHECKING:
    from esmm_dist.train.config import TrainConfig
    from launcher.local.config import LocalConfig

_OF_ONE_START = ("servers", "token_file", "tls_ca", "tls_cert", "tls_key")
"""How the servers of one start were reached: those of esmm local are gone with it; a run goes on with any."""


def train_command(settings: "TrainConfig", context: CommandContext) -> Outcome:
    """Train a model, or resume a run from its last checkpoint."""
    from esmm_dist.model.metrics.summary import from_mapping
    from esmm_dist.train.run import train
    from launcher.agent.worker_link import worker_link

    result = train(settings, context.progress, worker_link())
    lines = result.lines()
    now = result.data_sets[-1] if result.data_sets else None
    if now is not None and now.first is not None:
        lines += [f"Before it learned from {now.data}:", *metrics_table(from_mapping(now.first))]
    if now is not None and now.first is not None and result.metrics:
        lines.append("After it:")
    if result.metrics:
        if result.calibrated_by is not None:
            lines.append("Before calibration; esmm evaluate shows it calibrated:")
        lines += metrics_table(result.metrics, result.baseline)
    if result.baseline is not None:
        lines += [f"Warning: {line}" for line in result.baseline.warnings(result.metrics)]
    return Outcome(lines=lines, result=json_value(result))


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
    from esmm_dist.train.run_settings import read_settings, read_settings_to_continue

    continues = flags.get("continue") == "true"
    stored = read_settings_to_continue(flags["run"]) if continues else read_settings(flags["run"])
    if stored is None or not isinstance(stored.get("store"), Mapping):
        return stored
    store = {name: value for name, value in stored["store"].items() if name not in _OF_ONE_START}
    return {**stored, "store": store}
