"""``esmm stats``: what is in a data set or in a raw log."""

import pkgutil
from typing import TYPE_CHECKING

from launcher.command import CommandContext, Outcome
from launcher.terminal.json_line import json_value

if TYPE_CHECKING:
    from esmm_dist.report.data_statistics.config import StatsConfig
    from esmm_dist.report.data_statistics.statistics import DataStatistics


def stats_command(settings: "StatsConfig", context: CommandContext) -> Outcome:
    """Show what is in a data set or a raw log."""
    from esmm_dist.report.data_statistics.gather import data_statistics
    from esmm_dist.report.data_statistics.text import statistics_lines

    statistics = data_statistics(settings, context.progress)
    lines = [*statistics_lines(statistics), *_written(statistics, settings)]
    return Outcome(lines=lines, result=json_value(statistics.to_mapping()))


def _written(statistics: "DataStatistics", settings: "StatsConfig") -> list[str]:
    """Write the page and the pictures that are asked for; return a line on each."""
    if settings.html is None and settings.png is None:
        return []
    from esmm_dist.report.page.writing import write_html, write_pngs
    from esmm_dist.words import short_bytes

    data_page = pkgutil.resolve_name("esmm_dist.report.data_page.page:data_page")
    page, lines = data_page(statistics), [""]
    if settings.html is not None:
        lines.append(f"Wrote {settings.html} ({short_bytes(write_html(page, settings.html))})")
    if settings.png is not None:
        lines.append(f"Wrote {len(write_pngs(page, settings.png))} pictures to {settings.png}")
    return lines
