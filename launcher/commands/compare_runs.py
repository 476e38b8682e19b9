"""``esmm compare-runs``: two models on the same impressions."""

from typing import TYPE_CHECKING

from launcher.command import CommandContext, Outcome
from launcher.terminal.json_line import json_value

if TYPE_CHECKING:
    from esmm_dist.report.compare_runs.config import CompareRunsConfig


def compare_runs_command(settings: "CompareRunsConfig", context: CommandContext) -> Outcome:
    """Compare two models on the same impressions."""
    from esmm_dist.report.compare_runs.compare import compare_runs

    found = compare_runs(settings, context.progress)
    return Outcome(lines=found.lines(), result=json_value(found.to_mapping()))
