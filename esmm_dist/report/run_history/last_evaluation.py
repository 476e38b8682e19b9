"""The last evaluation of each run, with its 95% confidence intervals, beside logistic regression."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from esmm_dist.report.page.blocks import PageTable
from esmm_dist.report.pictures.picture import Picture, line_of, new_figure
from esmm_dist.report.pictures.shown_text import cut_middle
from esmm_dist.report.pictures.style import MUTED
from esmm_dist.report.run_history.axes import ERRORS_OF_95_PERCENT, MOST_SERIES
from esmm_dist.report.run_history.course import RunCourse, RunEvaluation
from esmm_dist.words import in_words

_BASELINE = "logistic regression"


def shown_evaluation(course: RunCourse) -> RunEvaluation | None:
    """Return the evaluation that stands for a run: the best by early stopping, else the newest."""
    best = [each for each in course.evaluations if each.step == course.best_step]
    return best[-1] if best else course.newest


def interval_picture(courses: Sequence[RunCourse]) -> Picture | None:
    """Return the AUC of each task with its interval, a dot for each run; None if no run has an evaluation."""
    found = [(each, evaluation) for each in courses if (evaluation := shown_evaluation(each)) is not None]
    if not found:
        return None
    found = found[:MOST_SERIES]
    tasks = list(dict.fromkeys(task for _, each in found for task in each.metrics))
    series = [(each.label, evaluation) for each, evaluation in found]
    baseline = found[0][0].baseline
    if baseline is not None:
        series.append((_BASELINE, baseline))
    figure, grid = new_figure(width=1.7, height=max(0.55, 0.12 + 0.1 * (len(series) + 0.6) * len(tasks)))
    numbers = _draw(grid[0, 0], series, tasks)
    evaluation = found[0][1]
    return Picture(
        name="auc-intervals",
        title=_title(found, baseline),
        how_to_read="A dot is the AUC of a task on "
        f"{evaluation.split}, its bar the 95% confidence interval (1.96 standard errors, as exact AUC has them). "
        + (
            "Models whose bars hardly overlap differ; those whose bars overlap may, too: they score the same "
            "impressions, which a paired test takes into account (esmm compare-runs)."
            if len(series) > 1
            else "The bar is as wide as chance in the choice of impressions makes it."
        ),
        figure=figure,
        numbers=numbers,
    )


def _draw(axes: Any, series: Sequence[tuple[str, RunEvaluation]], tasks: Sequence[str]) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    between = 0.62 / max(1, len(series) - 1) if len(series) > 1 else 0.0
    for place, (label, evaluation) in enumerate(series):
        auc = np.array([evaluation.value(task, "auc") for task in tasks])
        half = ERRORS_OF_95_PERCENT * np.array([evaluation.value(task, "auc_standard_error") for task in tasks])
        y = np.arange(len(tasks)) + (place * between - (0.31 if len(series) > 1 else 0.0))
        style = {"color": MUTED, "marker": "s"} if label == _BASELINE else _dot(place)
        axes.errorbar(auc, y, xerr=half, linestyle="none", capsize=3, label=cut_middle(label), **style)
        numbers[label] = {"tasks": list(tasks), "auc": auc.tolist(), "half_width": half.tolist()}
    axes.set_yticks(range(len(tasks)), [cut_middle(task) for task in tasks])
    axes.set_ylim(len(tasks) - 0.5, -0.5)
    axes.set_ylabel("task")
    axes.set_xlabel("AUC")
    axes.grid(axis="y", visible=False)
    if len(series) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return numbers


def _dot(place: int) -> dict[str, Any]:
    style = line_of(place)
    return {"color": style["color"], "marker": style["marker"]}


def _title(found: Sequence[tuple[RunCourse, RunEvaluation]], baseline: RunEvaluation | None) -> str:
    _, evaluation = found[0]
    if len(found) > 1:
        return f"AUC of {len(found)} runs by task, on the split that each was evaluated on."
    if baseline is None or baseline.split != evaluation.split:
        return f"AUC on {evaluation.split} at step {evaluation.step:,}, with what chance leaves open."
    better, worse, open_ = compared_with(evaluation, baseline)
    parts = [
        *([f"better than logistic regression for {in_words(better)}"] if better else []),
        *([f"worse for {in_words(worse)}" if better else f"worse than it for {in_words(worse)}"] if worse else []),
        *([f"not clearly different for {in_words(open_)}"] if open_ else []),
    ]
    if not parts:
        return f"AUC on {evaluation.split} at step {evaluation.step:,}."
    if not better:
        parts[0] = parts[0].replace("than it", "than logistic regression")
        if not worse:
            parts[0] = f"not clearly different from logistic regression for {in_words(open_)}"
    return f"On {evaluation.split}, the model is {', '.join(parts)}."


def compared_with(evaluation: RunEvaluation, baseline: RunEvaluation) -> tuple[list[str], list[str], list[str]]:
    """Return the tasks for which a model is better than another, worse, and neither, by 1.96 errors of the difference.

    As if they scored different impressions: on the same ones the error is smaller, so that what is called different is.
    """
    better: list[str] = []
    worse: list[str] = []
    neither: list[str] = []
    for task in evaluation.metrics:
        difference = evaluation.value(task, "auc") - baseline.value(task, "auc")
        error = math.hypot(evaluation.value(task, "auc_standard_error"), baseline.value(task, "auc_standard_error"))
        if not math.isfinite(difference):
            continue
        least = ERRORS_OF_95_PERCENT * error
        (better if difference > least else worse if difference < -least else neither).append(task)
    return better, worse, neither


def evaluation_table(courses: Sequence[RunCourse]) -> PageTable | None:
    """Return the figures of each run's evaluation; None if no run has one."""
    rows = []
    for course in courses:
        evaluation = shown_evaluation(course)
        if evaluation is None:
            continue
        name = [cut_middle(course.label)] if len(courses) > 1 else []
        for task in evaluation.metrics:
            rows.append([*name, cut_middle(task), f"{evaluation.step:,}", evaluation.split, *_cells(evaluation, task)])
        baseline = course.baseline
        if baseline is not None and len(courses) == 1:
            for task in baseline.metrics:
                cells = _cells(baseline, task)
                rows.append([f"{cut_middle(task)}, logistic regression", "-", baseline.split, *cells])
    if not rows:
        return None
    head = [*(["run"] if len(courses) > 1 else []), "task", "step", "split"]
    return PageTable(
        title="What the last evaluation measured"
        + (
            ", the best one of runs with early stopping."
            if any(each.best_step is not None for each in courses)
            else "."
        ),
        head=[
            *head,
            "AUC",
            "± standard error",
            "AUC within users",
            "log loss",
            "calibration",
            "positives",
            "impressions",
        ],
        rows=rows,
        text_columns=tuple(i for i, name in enumerate(head) if name != "step"),
        how_to_read="Calibration is the mean prediction divided by the share of positives, as trained, before "
        "probabilities are calibrated: 1 is right. AUC within users compares impressions of one user only.",
    )


def _cells(evaluation: RunEvaluation, task: str) -> list[str]:
    four = ("auc", "auc_standard_error", "gauc", "log_loss")
    cells = [number_text(evaluation.value(task, name), 4) for name in four]
    cells.append(number_text(evaluation.value(task, "calibration"), 3))
    return [*cells, *(number_text(evaluation.value(task, name), 0) for name in ("positives", "impressions"))]


def number_text(value: float, digits: int) -> str:
    """Return a number as a cell of a table; a dash if there is none."""
    return f"{value:,.{digits}f}" if math.isfinite(value) else "–"
