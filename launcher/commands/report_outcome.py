"""What ``esmm report`` prints and writes of runs that it has read."""

from typing import TYPE_CHECKING

from launcher.command import Outcome
from launcher.terminal.json_line import json_value

if TYPE_CHECKING:
    from esmm_dist.report.run_page.config import ReportConfig
    from esmm_dist.report.run_page.page import ReportedRuns


def outcome_of(report: "ReportedRuns", settings: "ReportConfig", *, refresh_s: float | None = None) -> Outcome:
    """Write what is asked for, and return the report.

    Args:
        report: the runs
        settings: settings of the command
        refresh_s: seconds after which a browser reads the page again; None: never
    """
    from esmm_dist.report.run_page.text import report_lines

    lines = [*report_lines(report), *_written(report, settings, refresh_s)]
    return Outcome(lines=lines, result=json_value(report.to_mapping()))


def _written(report: "ReportedRuns", settings: "ReportConfig", refresh_s: float | None) -> list[str]:
    """Write the page and the pictures that are asked for; return a line on each."""
    if settings.html is None and settings.png is None:
        return []
    from esmm_dist.report.page.writing import write_html, write_pngs
    from esmm_dist.report.run_page.page import run_page
    from esmm_dist.words import short_bytes

    page, lines = run_page(report, refresh_s=refresh_s), [""]
    if settings.html is not None:
        lines.append(f"Wrote {settings.html} ({short_bytes(write_html(page, settings.html))})")
    if settings.png is not None:
        lines.append(f"Wrote {len(write_pngs(page, settings.png))} pictures to {settings.png}")
    return lines
