"""``esmm report``: the course and the scores of runs."""

from typing import TYPE_CHECKING

from launcher.command import CommandContext, Outcome
from launcher.terminal.json_line import json_value

if TYPE_CHECKING:
    from esmm_dist.report.run_page.config import ReportConfig
    from esmm_dist.report.run_page.page import ReportedRuns


def report_command(settings: "ReportConfig", context: CommandContext) -> Outcome:
    """Show the course and the scores of runs."""
    from esmm_dist.report.run_page.gather import gather_report
    from esmm_dist.report.run_page.text import report_lines

    report = gather_report(settings, context.progress)
    lines = [*report_lines(report), *_written(report, settings)]
    return Outcome(lines=lines, result=json_value(report.to_mapping()))


def _written(report: "ReportedRuns", settings: "ReportConfig") -> list[str]:
    """Write the page and the pictures that are asked for; return a line on each."""
    if settings.html is None and settings.png is None:
        return []
    from esmm_dist.report.page.writing import write_html, write_pngs
    from esmm_dist.report.run_page.page import run_page
    from esmm_dist.words import short_bytes

    page, lines = run_page(report), [""]
    if settings.html is not None:
        lines.append(f"Wrote {settings.html} ({short_bytes(write_html(page, settings.html))})")
    if settings.png is not None:
        lines.append(f"Wrote {len(write_pngs(page, settings.png))} pictures to {settings.png}")
    return lines
