"""Put the page of one run or of several together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from esmm_dist.report.page.blocks import Block, Page, Paragraph, Section
from esmm_dist.report.pictures.shown_text import cut_middle
from esmm_dist.report.run_history.course import RunCourse
from esmm_dist.report.run_history.findings import course_facts, findings_of
from esmm_dist.report.run_history.sections import course_sections, settings_section


@dataclass(frozen=True, kw_only=True)
class ReportedRuns:
    """One run or several, as they are looked at."""

    courses: Sequence[RunCourse]
    """In the order in which they were named."""

    made_at: float
    """Seconds since 1970."""

    command: str = ""
    """Command that makes the page."""

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values; nan stays nan."""
        return {"runs": [each.to_mapping() for each in self.courses], "findings": findings_of(self.courses)}


def run_page(report: ReportedRuns) -> Page:
    """Return the page of a report."""
    courses = report.courses
    names = [cut_middle(each.label, 60) for each in courses]
    title = f"Run {names[0]}" if len(names) == 1 else f"{len(names)} runs: {', '.join(names)}"
    sections = [_overview(report), *course_sections(courses), settings_section(courses), _how_made(report)]
    made_at = datetime.fromtimestamp(report.made_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Page(
        title=title,
        subtitle=f"{', '.join(cut_middle(each.run, 100) for each in courses)}; written {made_at}.",
        facts=course_facts(courses[0]) if len(courses) == 1 else (),
        sections=[each for each in sections if each is not None],
    )


def _overview(report: ReportedRuns) -> Section | None:
    found: list[Block] = [Paragraph(text=text) for text in findings_of(report.courses)]
    return Section(heading="Findings", blocks=found) if found else None


def _how_made(report: ReportedRuns) -> Section:
    facts: Mapping[str, str] = {
        cut_middle(each.label): ", ".join(
            [
                f"{len(each.losses):,} lines of losses",
                f"{len(each.evaluations):,} evaluations",
                f"{len(each.speed):,} lines of speed",
                f"{len(each.events):,} events",
                f"{len(each.checkpoints):,} checkpoints",
            ]
        )
        for each in report.courses
    }
    blocks: list[Block] = [Paragraph(text=f"{label}: {text}.") for label, text in facts.items()]
    if report.command:
        blocks.append(Paragraph(text=report.command, kind="code"))
    return Section(
        heading="How this page was made",
        lead="From the files of the run, without a model being loaded for what is not scored here.",
        blocks=blocks,
    )
