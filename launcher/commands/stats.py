"""``esmm stats``: what is in a data set or in a raw log."""

from typing import TYPE_CHECKING

from launcher.command import CommandContext, Outcome

if TYPE_CHECKING:
    from esmm_dist.report.data_statistics.config import StatsConfig


def stats_command(settings: "StatsConfig", context: CommandContext) -> Outcome:
    """Show what is in a data set or a raw log."""
    raise NotImplementedError
