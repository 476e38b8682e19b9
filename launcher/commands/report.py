"""``esmm report``: the course and the scores of runs."""

from typing import TYPE_CHECKING

from launcher.command import CommandContext, Outcome

if TYPE_CHECKING:
    from esmm_dist.report.run_page.config import ReportConfig


def report_command(settings: "ReportConfig", context: CommandContext) -> Outcome:
    """Show the course and the scores of runs."""
    raise NotImplementedError
