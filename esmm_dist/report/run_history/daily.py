"""Progressive metrics: what a run reached on each data set before it learned from it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from esmm_dist.report.pictures.picture import Picture, line_of, new_figure
from esmm_dist.report.pictures.shown_text import cut_middle
from esmm_dist.report.run_history.axes import ERRORS_OF_95_PERCENT, MOST_SERIES, say_in
from esmm_dist.report.run_history.course import RunCourse
from esmm_dist.train.data_sets import DataSetRecord

_MOST_NAMED = 12


def progressive_picture(course: RunCourse, name: str = "progressive") -> Picture | None:
    """Return the AUC on each data set before the run learned from it; None if it was never evaluated so."""
    known = [(number, each) for number, each in enumerate(course.data_sets, 1) if each.first]
    if not known:
        return None
    tasks = list(dict.fromkeys(task for _, each in known for task in each.first or {}))[:MOST_SERIES]
    figure, grid = new_figure(width=2.0)
    axes = grid[0, 0]
    numbers: dict[str, Any] = {"data_set": [each.data for _, each in known]}
    for place, task in enumerate(tasks):
        auc, error = (
            np.array([_value(each, task, name) for _, each in known]) for name in ("auc", "auc_standard_error")
        )
        half = ERRORS_OF_95_PERCENT * error
        x = np.array([number for number, _ in known]) + (place - (len(tasks) - 1) / 2) * 0.06
        axes.errorbar(x, auc, yerr=half, capsize=3, label=cut_middle(task), **line_of(place))
        numbers[task] = {"auc": auc.tolist(), "half_width": half.tolist()}
    numbered = known if len(known) <= _MOST_NAMED else known[:: -(-len(known) // _MOST_NAMED)]
    axes.set_xticks(
        [number for number, _ in numbered],
        [cut_middle(_last_part(each.data), 16) for _, each in numbered],
        rotation=30,
        ha="right",
    )
    axes.set_xlabel("data set, in the order of training")
    axes.set_ylabel("AUC before training on it")
    if not any(np.isfinite(numbers[task]["auc"]).any() for task in tasks):
        say_in(axes, "no AUC: the labels are of one class")
    axes.legend(loc="best")
    return Picture(
        name=name,
        title=_title(known, tasks[-1]),
        how_to_read="A dot is the AUC on a data set's train split before the run learned from it, which is how it does "
        "on a day that it has not seen; the bar is the 95% confidence interval. A slow fall means that it lags behind.",
        figure=figure,
        numbers=numbers,
    )


def _title(known: Sequence[tuple[int, DataSetRecord]], task: str) -> str:
    values = [value for _, each in known if np.isfinite(value := _value(each, task, "auc"))]
    if not values:
        return f"There is no AUC for {task} before training: the labels are of one class."
    if len(values) == 1:
        return f"Before it learned from the data set, the run had an AUC for {task} of {values[0]:.4f}."
    return (
        f"On {len(values)} data sets that it had not seen yet, the run had an AUC for {task} of "
        f"{min(values):.4f} to {max(values):.4f}."
    )


def _value(record: DataSetRecord, task: str, figure: str) -> float:
    found = (record.first or {}).get(task, {}).get(figure)
    return float(found) if isinstance(found, (int, float)) else float("nan")


def _last_part(place: str) -> str:
    return place.rstrip("/").rsplit("/", 1)[-1] or place
