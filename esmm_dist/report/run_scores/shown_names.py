"""What runs, tasks and predictions are called in pictures and tables of scores."""

from collections.abc import Sequence

from esmm_dist.report.pictures.shown_text import cut, cut_middle
from esmm_dist.report.run_scores.scores import RunScores, TaskScores

MOST_RUNS = 6
"""Runs that one picture shows."""

_PLURALS = {"click": "clicks", "conversion": "conversions", "purchase": "purchases", "cart": "carts", "like": "likes"}
_SHORT = {"pctr": "pCTR", "pcvr": "pCVR", "pctcvr": "pCTCVR"}


def run_names(scores: Sequence[RunScores]) -> list[str]:
    """Return a name for each run: the end of its path, with the step where two are of one run, else all of the path."""
    ends = [each.run.rstrip("/").rpartition("/")[2] or each.run for each in scores]
    if len({each.run for each in scores}) < len(scores):
        ends = [f"{cut_middle(end, 22)}:{each.step}" for end, each in zip(ends, scores, strict=True)]
    if len(set(ends)) < len(ends):
        ends = [cut_middle(each.run) for each in scores]
    if len(set(ends)) < len(ends):
        ends = [f"{cut_middle(each.run, 22)}:{each.step}" for each in scores]
    return [cut_middle(each) for each in ends]


def prediction_name(name: str, task: TaskScores) -> str:
    """Return how predictions of a task are called: ``pCTCVR``, ``p_cart``."""
    return _SHORT.get(task.column, cut(task.column or name))


def positives_name(name: str, task: TaskScores) -> str:
    """Return how impressions whose label is 1 are called: ``the conversions``, ``those with long_view``."""
    if not task.label:
        return f"the positives of {cut(name)}"
    return f"the {_PLURALS[task.label]}" if task.label in _PLURALS else f"those with {cut(task.label)}"


def rows_name(task: TaskScores) -> str:
    """Return what a task is measured on: ``impressions``, ``clicks``, ``impressions with cart``."""
    if not task.given:
        return "impressions"
    return _PLURALS.get(task.given, f"impressions with {cut(task.given)}")


def shared_tasks(scores: Sequence[RunScores]) -> list[str]:
    """Return the tasks of the first run that all have."""
    return [name for name in scores[0].tasks if all(name in each.tasks for each in scores)]
