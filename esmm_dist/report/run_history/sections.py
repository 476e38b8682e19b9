"""The course of a run, or of several, as sections of a page."""

from collections.abc import Sequence

from esmm_dist.report.page.blocks import Block, PageTable, Paragraph, Section
from esmm_dist.report.pictures.shown_text import cut_middle
from esmm_dist.report.run_history.axes import MOST_SERIES
from esmm_dist.report.run_history.course import RunCourse
from esmm_dist.report.run_history.daily import progressive_picture
from esmm_dist.report.run_history.last_evaluation import evaluation_table, interval_picture
from esmm_dist.report.run_history.learning_curves import auc_picture, loss_picture
from esmm_dist.report.run_history.settings_tables import differing_table, settings_table
from esmm_dist.report.run_history.speed_pictures import (
    growth_picture,
    shares_picture,
    speed_of_runs_picture,
    throughput_picture,
)
from esmm_dist.report.run_history.time_line import event_table


def course_sections(courses: Sequence[RunCourse]) -> list[Section]:
    """Return what the files of one run or of several tell: learning, speed, events, data sets.

    Args:
        courses: one or more, in the order in which they are named
    """
    found = [_learning(courses), *(_speed(courses)), _data_sets(courses)]
    return [each for each in found if each is not None]


def _learning(courses: Sequence[RunCourse]) -> Section:
    blocks: list[Block | None] = [
        auc_picture(courses),
        interval_picture(courses),
        evaluation_table(courses),
        loss_picture(courses),
    ]
    blocks += [Paragraph(text=_of_run(courses, each, text), kind="note") for each in courses for text in each.missing]
    if len(courses) > MOST_SERIES:
        blocks.append(Paragraph(text=f"Pictures show the first {MOST_SERIES} of {len(courses)} runs.", kind="note"))
    return Section(
        heading="Learning",
        lead="How well the model ranks, by training step, and what it learns from.",
        blocks=[each for each in blocks if each is not None],
    )


def _of_run(courses: Sequence[RunCourse], course: RunCourse, text: str) -> str:
    return text if len(courses) == 1 else f"{cut_middle(course.label)}: {text}"


def _speed(courses: Sequence[RunCourse]) -> list[Section]:
    if len(courses) == 1:
        course = courses[0]
        blocks: list[Block | None] = [
            throughput_picture(course),
            shares_picture(course),
            growth_picture(course),
            event_table(course),
            checkpoint_table(course),
        ]
    else:
        blocks = [speed_of_runs_picture(courses)]
        for number, course in enumerate(courses[:MOST_SERIES], 1):
            blocks += [
                throughput_picture(course, f"time-line-{number}"),
                shares_picture(course, f"time-shares-{number}"),
            ]
    known = [each for each in blocks if each is not None]
    if not known:
        return []
    lead = "How fast it trains, where the time goes, and what happened when."
    return [Section(heading="Speed and events", lead=lead, blocks=known)]


def _data_sets(courses: Sequence[RunCourse]) -> Section | None:
    blocks: list[Block] = []
    for number, course in enumerate(courses, 1):
        if not course.data_sets or (len(course.data_sets) < 2 and len(courses) == 1 and not course.data_sets[0].first):
            continue
        name = "progressive" if len(courses) == 1 else f"progressive-{number}"
        picture = progressive_picture(course, name)
        blocks += [picture] if picture is not None else []
        blocks.append(_data_set_table(course))
    if not blocks:
        return None
    return Section(heading="Data sets", lead="What the run learned from, one after the other.", blocks=blocks)


def _data_set_table(course: RunCourse) -> PageTable:
    rows = [
        [
            str(number),
            cut_middle(each.data, 60),
            f"{each.impressions:,}",
            f"{each.first_step + 1:,} to {each.last_step:,}" if each.last_step > each.first_step else "–",
            "yes" if each.finished else "no",
        ]
        for number, each in enumerate(course.data_sets, 1)
    ]
    count = len(rows)
    return PageTable(
        title=f"{cut_middle(course.label)} has learned from {count} data set{'s' if count > 1 else ''}.",
        head=["number", "data set", "train impressions", "steps", "finished"],
        rows=rows,
        text_columns=(0, 1, 3, 4),
        folded=count > 12,
    )


def checkpoint_table(course: RunCourse) -> PageTable | None:
    """Return the checkpoints of a run; None if it has none."""
    if not course.checkpoints:
        return None
    rows = [
        [
            f"{each.step:,}",
            f"{each.size_bytes / 1e6:,.1f}",
            f"{sum(each.rows.values()):,}",
            ", ".join(name for name, holds in (("best", each.is_best), ("pinned", each.is_pinned)) if holds) or "–",
            cut_middle(each.trouble, 100) or "ok by size",
        ]
        for each in course.checkpoints
    ]
    return PageTable(
        title=f"{cut_middle(course.label)} keeps {len(rows)} checkpoint{'s' if len(rows) > 1 else ''}.",
        head=["step", "MB", "rows", "kept as", "state"],
        rows=rows,
        text_columns=(3, 4),
        folded=len(rows) > 3,
    )


def settings_section(courses: Sequence[RunCourse]) -> Section | None:
    """Return the settings of one run that are not the default, or those in which several differ; None if unknown."""
    table = settings_table(courses[0]) if len(courses) == 1 else differing_table(courses)
    if table is None:
        return None
    notes: list[Block] = []
    if len(courses) == 1 and courses[0].chosen:
        notes.append(Paragraph(text="\n".join(courses[0].chosen), kind="code"))
    return Section(heading="Settings", blocks=[table, *notes])
