"""The report on runs as lines of text."""

import math
from itertools import zip_longest

from esmm_dist.escaped import one_line
from esmm_dist.report.page.blocks import PageTable
from esmm_dist.report.run_history.course import RunCourse
from esmm_dist.report.run_history.last_evaluation import evaluation_table
from esmm_dist.report.run_history.settings_tables import differing_table
from esmm_dist.report.run_page.findings import course_facts, findings_of
from esmm_dist.report.run_page.page import ReportedRuns
from esmm_dist.report.run_scores.scores import RunScores
from esmm_dist.text_table import text_table


def report_lines(report: ReportedRuns) -> list[str]:
    """Return the report, a line each: facts, findings, the last evaluations, and in what several runs differ."""
    lines = [*(_head(each, scores) for each, scores in zip_longest(report.courses, report.scores))]
    lines += ["", *(one_line(each) for each in findings_of(report.courses, report.scores))]
    for table in (evaluation_table(report.courses), differing_table(report.courses)):
        lines += _table(table) if table is not None else []
    texts = dict.fromkeys([*(text for each in report.courses for text in each.missing), *report.notes])
    lines += [one_line(f"Note: {text}") for text in texts]
    return lines


def _head(course: RunCourse, scores: RunScores | None) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in course_facts(course, scores))
    return one_line(f"{course.label}: {facts}")


def _table(table: PageTable) -> list[str]:
    return ["", table.title, *text_table(table.head, table.rows), ""]


def watch_line(report: ReportedRuns) -> str:
    """Return what a page of runs that train shows, in one line."""
    parts = []
    for course in report.courses:
        newest = course.newest
        known = [] if newest is None else [(task, newest.value(task, "auc")) for task in newest.metrics]
        aucs = ", ".join(f"{task} {auc:.4f}" for task, auc in known if math.isfinite(auc))
        parts.append(f"{course.label} at step {course.step:,}" + (f", AUC {aucs}" if aucs else ""))
    return one_line("; ".join(parts))
