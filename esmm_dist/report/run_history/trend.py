"""Whether a run still learns: what its evaluations say in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from esmm_dist.report.run_history.course import RunCourse, RunEvaluation

NOTHING = 0.0005
"""AUC that makes no difference: well below the standard error on a million impressions with ten thousand positives."""


@dataclass(frozen=True, kw_only=True)
class Trend:
    """How the AUC of a task goes on."""

    task: str
    auc: float
    """At the last evaluation."""
    highest: float
    highest_step: int
    change: float
    """AUC at the last evaluation less that at the end of the third quarter of the steps; nan with fewer than three."""
    kind: Literal["one", "rises", "level", "falls", "unknown"]
    """``one``: fewer than three evaluations. ``rises``, ``falls``: by more than ``NOTHING`` over the last quarter of
    the steps, or since the highest. ``unknown``: no AUC."""


def trend_of(evaluations: Sequence[RunEvaluation], task: str) -> Trend:
    """Return how the AUC of a task goes on.

    Args:
        evaluations: those on one split of one data set, in the order of their steps
        task: name of the task
    """
    found = [(each.step, each.value(task, "auc")) for each in evaluations]
    known = [(step, auc) for step, auc in found if math.isfinite(auc)]
    if not known:
        return Trend(task=task, auc=math.nan, highest=math.nan, highest_step=0, change=math.nan, kind="unknown")
    highest_step, highest = max(known, key=lambda each: each[1])
    last_step, auc = known[-1]
    change, kind = math.nan, "one"
    if len(known) > 2:
        cut = known[0][0] + 0.75 * (last_step - known[0][0])
        before = [value for step, value in known[:-1] if step <= cut]
        change = auc - before[-1]
        kind = "falls" if highest - auc > NOTHING else "rises" if change > NOTHING else "level"
    return Trend(task=task, auc=auc, highest=highest, highest_step=highest_step, change=change, kind=kind)  # type: ignore[arg-type]


def of_newest_data_set(course: RunCourse) -> list[RunEvaluation]:
    """Return the evaluations of the newest split since the run's newest data set began: those that can be compared."""
    newest = course.newest
    first = course.data_sets[-1].first_step if course.data_sets else 0
    return [each for each in course.evaluations if newest and each.split == newest.split and each.step > first]


def of_equal_impressions(evaluations: Sequence[RunEvaluation]) -> Sequence[RunEvaluation]:
    """Leave out the last evaluation where it is of the whole split and those before it are of its first impressions.

    AUCs of other impressions differ for that alone.
    """
    is_other = len(evaluations) > 2 and evaluations[-1].whole_split and not evaluations[-2].whole_split
    return evaluations[:-1] if is_other else evaluations


def trend_sentence(course: RunCourse) -> str:
    """Return what the evaluations of a run say, with the last task as the example."""
    evaluations = of_equal_impressions(of_newest_data_set(course) or list(course.evaluations))
    newest = evaluations[-1]
    trends = [trend_of(evaluations, task) for task in course.tasks]
    known = [each for each in trends if each.kind != "unknown"]
    if not known:
        return f"There is no AUC on {newest.split}: the labels are of one class."
    last = known[-1]
    rising = [each.task for each in known if each.kind == "rises"]
    match last.kind:
        case "one":
            aucs = ", ".join(f"{each.task} {each.auc:.4f}" for each in known)
            return f"AUC on {newest.split} at step {newest.step:,}: {aucs}."
        case "rises":
            return (
                f"The AUC of {_names(rising)} still rises: {last.task} gained {last.change:.4f} over the last quarter "
                f"of the steps, to {last.auc:.4f}."
            )
        case "falls":
            return (
                f"The AUC of {last.task} was highest at step {last.highest_step:,}, {last.highest:.4f}, and has fallen "
                f"by {last.highest - last.auc:.4f} since."
            )
        case _:
            also = f"; that of {_names(rising)} still rises" if rising else ""
            return f"The AUC of {last.task} has levelled off at {last.auc:.4f}{also}."


def _names(tasks: Sequence[str]) -> str:
    return ", ".join(tasks[:-1]) + f" and {tasks[-1]}" if len(tasks) > 1 else tasks[0]
