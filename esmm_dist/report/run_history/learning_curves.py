"""Pictures of what a run learns: AUC by step and task, and the training losses."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from esmm_dist.report.pictures.lines import legend_above
from esmm_dist.report.pictures.panels import small_multiples
from esmm_dist.report.pictures.picture import Picture, line_of
from esmm_dist.report.pictures.shown_text import cut_middle
from esmm_dist.report.pictures.style import MUTED
from esmm_dist.report.run_history.axes import (
    ERRORS_OF_95_PERCENT,
    MOST_SERIES,
    moving_mean,
    say_in,
    step_axis,
    without_marks_if_many,
)
from esmm_dist.report.run_history.course import RunCourse, RunEvaluation
from esmm_dist.report.run_history.trend import of_equal_impressions, trend_sentence

_HEIGHT = 0.95


def auc_picture(courses: Sequence[RunCourse]) -> Picture | None:
    """Return the AUC of each task by step, a line for each run; None if no run has an evaluation."""
    shown = [each for each in courses if each.evaluations][:MOST_SERIES]
    if not shown:
        return None
    tasks = list(dict.fromkeys(task for each in shown for task in each.tasks))
    figure, grid = small_multiples(len(tasks), height=_HEIGHT)
    numbers: dict[str, Any] = {}
    for place, axes in enumerate(grid):
        numbers[tasks[place]] = _draw_auc(axes, shown, tasks[place])
        axes.set_title(cut_middle(tasks[place]))
        axes.set_ylabel("AUC")
    _legend(grid, shown)
    one = len(shown) == 1
    return Picture(
        name="learning-curves",
        title=trend_sentence(shown[0]) if one else _title_of_runs(shown, tasks[-1]),
        how_to_read=_how_to_read(shown),
        figure=figure,
        numbers=numbers,
    )


def of_newest_split(course: RunCourse) -> list[RunEvaluation]:
    """Return the evaluations of the split that was evaluated last."""
    newest = course.newest
    return [each for each in course.evaluations if newest is not None and each.split == newest.split]


def _draw_auc(axes: Any, courses: Sequence[RunCourse], task: str) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    for place, course in enumerate(courses):
        evaluations = [each for each in of_newest_split(course) if task in each.metrics]
        if not evaluations:
            continue
        steps = [each.step for each in evaluations]
        auc = np.array([each.value(task, "auc") for each in evaluations])
        half = ERRORS_OF_95_PERCENT * np.array([each.value(task, "auc_standard_error") for each in evaluations])
        numbers[course.label] = _numbers(course, evaluations, auc, half)
        style = without_marks_if_many(line_of(place), len(steps))
        axes.plot(steps, auc, **style)
        if len(steps) > 1:
            axes.fill_between(steps, auc - half, auc + half, color=style["color"], alpha=0.15, linewidth=0)
        else:
            axes.errorbar(steps, auc, yerr=half, color=style["color"], capsize=4)
        _mark_best(axes, course, steps, auc)
        if course.baseline is not None and len(courses) == 1:
            axes.axhline(course.baseline.value(task, "auc"), color=MUTED, linestyle=(0, (2, 2)), linewidth=1.3)
            numbers[course.label]["logistic_regression"] = course.baseline.value(task, "auc")
    _mark_data_sets(axes, courses)
    step_axis(axes)
    steps_of_all = {step for each in numbers.values() for step in each["step"]}
    if len(steps_of_all) == 1:  # else the axis has steps at which nothing was evaluated
        (step,) = steps_of_all
        axes.set_xticks([step], [f"{step:,}"])
    if not any(np.isfinite(each["auc"]).any() for each in numbers.values()):
        say_in(axes, "no AUC: the labels\nare of one class")
    return numbers


def _numbers(course: RunCourse, evaluations: Sequence[RunEvaluation], auc: Any, half: Any) -> dict[str, Any]:
    return {
        "split": evaluations[-1].split,
        "step": [each.step for each in evaluations],
        "auc": auc.tolist(),
        "low": (auc - half).tolist(),
        "high": (auc + half).tolist(),
        "best_step": course.best_step,
    }


def _mark_best(axes: Any, course: RunCourse, steps: Sequence[int], auc: Any) -> None:
    if course.best_step is not None and course.best_step in steps:
        value = auc[list(steps).index(course.best_step)]
        axes.plot([course.best_step], [value], marker="*", markersize=13, color="#e69f00", markeredgecolor=MUTED)


def _mark_data_sets(axes: Any, courses: Sequence[RunCourse]) -> None:
    """Draw where the next data set began, of one run."""
    if len(courses) == 1 and len(courses[0].data_sets) <= 32:
        for each in courses[0].data_sets[1:]:
            axes.axvline(each.first_step, color=MUTED, linestyle=":", linewidth=1)


def _legend(grid: Any, courses: Sequence[RunCourse]) -> None:
    """Name the runs once, in the first panel."""
    if len(courses) < 2:
        return
    for place, each in enumerate(courses):
        grid[0].plot([], [], label=cut_middle(each.label), **line_of(place))
    legend_above(grid[0])


def _how_to_read(courses: Sequence[RunCourse]) -> str:
    split = courses[0].newest
    assert split is not None
    has_curve = any(len(of_newest_split(each)) > 1 for each in courses)
    parts = [
        f"AUC is the share of pairs of a positive and a negative impression of {split.split} that the model puts in "
        f"the right order; 0.5 is chance. The {'band' if has_curve else 'bar'} is the 95% confidence interval of each "
        "point (1.96 standard errors)"
    ]
    if len(courses) > 1:
        parts.append("a line is a run")
    elif courses[0].baseline is not None:
        parts.append("the dashed grey line is logistic regression on the same data")
    if any(len(of_equal_impressions(found)) < len(found) for found in map(of_newest_split, courses)):
        parts.append("the last point is of the whole split, those before it of its first impressions")
    if any(each.best_step is not None for each in courses):
        parts.append("the star is the best evaluation by early stopping")
    if len(courses) == 1 and len(courses[0].data_sets) > 1:
        parts.append("dotted lines are where the next data set began")
    return "; ".join(parts) + "."


def _title_of_runs(courses: Sequence[RunCourse], task: str) -> str:
    found = [(each.evaluations[-1].value(task, "auc"), each.label) for each in courses]
    known = [each for each in found if np.isfinite(each[0])]
    if not known:
        return f"No run has an AUC for {task}."
    value, label = max(known)
    ties = sum(auc == value for auc, _ in known)
    if ties > 1:
        return f"{ties} of {len(known)} runs have the highest last AUC for {task}, {value:.4f}."
    return f"{label} has the highest last AUC for {task}, {value:.4f}, of {len(known)} runs."


def loss_picture(courses: Sequence[RunCourse]) -> Picture | None:
    """Return the training losses by step, a panel for each; None if no run has logged one."""
    shown = [each for each in courses if each.losses][:MOST_SERIES]
    names = list(dict.fromkeys(name for each in shown for point in each.losses for name in point.losses))
    if not names:
        return None
    figure, grid = small_multiples(len(names), height=_HEIGHT)
    numbers: dict[str, Any] = {}
    for place, axes in enumerate(grid):
        numbers[names[place]] = _draw_losses(axes, shown, names[place])
        axes.set_title(cut_middle(names[place]))
        axes.set_ylabel("mean log loss, nats")
    _legend(grid, shown)
    return Picture(
        name="training-losses",
        title=_loss_title(shown[0], names, numbers) if len(shown) == 1 else f"Training losses of {len(shown)} runs.",
        how_to_read="The faint line is the mean loss of the steps between two lines of the log, on what the model "
        "learns from; the strong one is the mean of neighbouring points"
        + ("; a line is a run." if len(shown) > 1 else ". It should fall, fast at first, and then level off."),
        figure=figure,
        numbers=numbers,
    )


def _draw_losses(axes: Any, courses: Sequence[RunCourse], name: str) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    for place, course in enumerate(courses):
        points = [each for each in course.losses if name in each.losses]
        if not points:
            continue
        steps, values = [each.step for each in points], [each.losses[name] for each in points]
        means, width = moving_mean(values)
        style = {**line_of(place), "marker": None if len(steps) > 1 else line_of(place)["marker"]}
        axes.plot(steps, means, **style)
        axes.plot(steps, values, color=style["color"], alpha=0.35, linewidth=0.8)
        numbers[course.label] = {"step": steps, "loss": values, "mean": means, "points_in_mean": width}
        _without_first_peak(axes, values)
    _mark_data_sets(axes, courses)
    step_axis(axes)
    return numbers


def _without_first_peak(axes: Any, values: Sequence[float]) -> None:
    """Leave the first tenth out of the y axis where it is so high that the rest would be a flat line."""
    known = np.array([each for each in values if np.isfinite(each)])
    if len(known) < 20:
        return
    later = known[len(known) // 10 :]
    room = 0.1 * max(later.max() - later.min(), 1e-9)
    low, high = later.min() - room, later.max() + room
    if known.max() - low > 3 * (high - low):
        axes.set_ylim(low, high + (high - low) * 0.3)


def _loss_title(course: RunCourse, names: Sequence[str], numbers: dict[str, Any]) -> str:
    parts = []
    for name in names[:3]:
        means = [each for each in numbers[name][course.label]["mean"] if np.isfinite(each)]
        if means:
            parts.append(f"{name} from {means[0]:.4f} to {means[-1]:.4f}")
    if not parts:
        return "The training losses are no numbers."
    more = f", and {len(names) - 3} more" if len(names) > 3 else ""
    return f"Over {course.losses[-1].step:,} steps the training losses went: {', '.join(parts)}{more}."
