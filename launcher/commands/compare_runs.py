"""``esmm compare-runs``: two models on the same impressions."""

from typing import TYPE_CHECKING

from launcher.command import CommandContext, Outcome

if TYPE_CHECKING:
    from esmm_dist.report.compare_runs.config import CompareRunsConfig


def compare_runs_command(settings: "CompareRunsConfig", context: CommandContext) -> Outcome:
    """Compare two models on the same impressions."""
    raise NotImplementedError
