"""``esmm stats``: what is in a data set or in a raw log."""

from typing import TYPE_CHECKING

from launcher.command import CommandContext, Outcome
from launcher.terminal.json_line import json_value

if TYPE_CHECKING:
    from esmm_dist.report.data_statistics.config import StatsConfig


def stats_command(settings: "StatsConfig", context: CommandContext) -> Outcome:
    """Show what is in a data set or a raw log."""
    from esmm_dist.report.data_page.reported_statistics import reported_statistics

    found = reported_statistics(settings, context.progress)
    return Outcome(lines=found.lines(), result=json_value(found.to_mapping()))
