"""Put the page of one run or of several together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from esmm_dist.config import to_mapping
from esmm_dist.report.compare_runs.comparison import RunComparison
from esmm_dist.report.compare_runs.sections import difference_sections
from esmm_dist.report.importance.field_importance import Importance
from esmm_dist.report.importance.sections import importance_sections
from esmm_dist.report.page.blocks import Block, Page, Paragraph, Section
from esmm_dist.report.pictures.shown_text import cut_middle
from esmm_dist.report.run_history.course import RunCourse
from esmm_dist.report.run_history.norm_pictures import norm_section
from esmm_dist.report.run_history.row_norms import RowNorms
from esmm_dist.report.run_history.sections import course_sections, settings_section
from esmm_dist.report.run_page.findings import course_facts, findings_of
from esmm_dist.report.run_scores.scores import RunScores
from esmm_dist.report.run_scores.sections import score_sections


@dataclass(frozen=True, kw_only=True)
class ReportedRuns:
    """One run or several, as they are looked at."""

    courses: Sequence[RunCourse]
    """In the order in which they were named."""

    scores: Sequence[RunScores | None] = ()
    """Scores of each run; None: it is not scored."""

    importance: Sequence[Importance | None] = ()
    """Importance of the fields of each run, of the step of its scores; None: not measured."""

    comparisons: Sequence[RunComparison] = ()
    """Each run but the first, compared with the first on the same impressions; none if they could not be."""

    norms: Sequence[RowNorms] = ()
    """Norms of the rows of the only run, at the step of its scores; none of several runs."""

    notes: Sequence[str] = ()
    """Why something is not shown, each a sentence."""

    made_at: float
    """Seconds since 1970."""

    command: str = ""
    """Command that makes the page."""

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values; nan stays nan."""
        return {
            "runs": [each.to_mapping() for each in self.courses],
            "scores": [each.to_mapping() if each is not None else None for each in self.scores],
            "importance": [each.to_mapping() if each is not None else None for each in self.importance],
            "comparisons": [each.to_mapping() for each in self.comparisons],
            "row_norms": [to_mapping(each) for each in self.norms],
            "findings": findings_of(self.courses, self.scores),
            "notes": list(self.notes),
        }


def run_page(report: ReportedRuns, *, refresh_s: float | None = None) -> Page:
    """Return the page of a report.

    Args:
        report: the runs
        refresh_s: seconds after which a browser reads the file again, while it is still written; None: never
    """
    courses = report.courses
    names = [cut_middle(each.label, 60) for each in courses]
    title = f"Run {names[0]}" if len(names) == 1 else f"{len(names)} runs: {', '.join(names)}"
    sections = [
        _overview(report),
        *course_sections(courses),
        *(difference_sections(report.comparisons) if report.comparisons else ()),
        *_scored(report),
        *_used_fields(report),
        *_rows(report),
        settings_section(courses),
        _how_made(report),
    ]
    made_at = datetime.fromtimestamp(report.made_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Page(
        title=title,
        subtitle=f"{', '.join(cut_middle(each.run, 100) for each in courses)}; written {made_at}.",
        facts=course_facts(courses[0], *report.scores) if len(courses) == 1 else (),
        sections=[each for each in sections if each is not None],
        refresh_s=refresh_s,
    )


def _overview(report: ReportedRuns) -> Section | None:
    found: list[Block] = [Paragraph(text=text) for text in findings_of(report.courses, report.scores)]
    found += [Paragraph(text=text, kind="note") for text in report.notes]
    return Section(heading="Findings", blocks=found) if found else None


def _scored(report: ReportedRuns) -> Sequence[Section]:
    found = [
        (each, course.label) for each, course in zip(report.scores, report.courses, strict=False) if each is not None
    ]
    return score_sections([each for each, _ in found], [label for _, label in found]) if found else ()


def _used_fields(report: ReportedRuns) -> Sequence[Section]:
    """Return the importance of fields, of one run: pictures of several would have one name."""
    found = [each for each in report.importance if each is not None]
    return importance_sections(found[0]) if len(report.courses) == 1 and found else ()


def _rows(report: ReportedRuns) -> Sequence[Section]:
    step = next((each.step for each in report.scores if each is not None), None)
    return [norm_section(report.norms, step)] if report.norms and step is not None else ()


def _how_made(report: ReportedRuns) -> Section:
    facts: Mapping[str, str] = {
        cut_middle(each.label): ", ".join(
            [
                f"{len(found):,} {noun if len(found) == 1 else several}"
                for found, noun, several in (
                    (each.losses, "line of losses", "lines of losses"),
                    (each.evaluations, "evaluation", "evaluations"),
                    (each.speed, "line of speed", "lines of speed"),
                    (each.events, "event", "events"),
                    (each.checkpoints, "checkpoint", "checkpoints"),
                )
            ]
        )
        for each in report.courses
    }
    blocks: list[Block] = [Paragraph(text=f"{label}: {text}.") for label, text in facts.items()]
    if report.command:
        blocks.append(Paragraph(text=report.command, kind="code"))
    return Section(
        heading="How this page was made",
        lead=_source(report),
        blocks=blocks,
    )


def _source(report: ReportedRuns) -> str:
    scored = [each for each in report.scores if each is not None]
    if not scored:
        return "From the files of the run; no model was loaded."
    return (
        f"The course is from the files of the run; {len(scored)} checkpoint{'s' if len(scored) > 1 else ''} scored the "
        f"{scored[0].split} split of {cut_middle(scored[0].data, 60)}."
    )
