"""``esmm report``: the course and the scores of runs, once or again and again while they train."""

from dataclasses import replace
from typing import TYPE_CHECKING

from launcher.command import CommandContext, Outcome

if TYPE_CHECKING:
    from esmm_dist.report.run_page.config import ReportConfig


def report_command(settings: "ReportConfig", context: CommandContext) -> Outcome:
    """Show the course and the scores of runs."""
    from esmm_dist.report.run_page.gather import gather_report
    from launcher.commands.report_outcome import outcome_of
    from launcher.commands.report_places import run_of_word

    settings = replace(settings, runs=tuple(run_of_word(each) for each in settings.runs))
    if settings.watch is not None:
        from launcher.commands.report_watch import watch_runs

        return watch_runs(settings, settings.watch, context.progress)
    return outcome_of(gather_report(settings, context.progress), settings)
