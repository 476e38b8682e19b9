"""What an evaluation finds out about each task of a label tree."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

Scale = Literal["probability", "log_probability", "logit"]


@dataclass(frozen=True, kw_only=True)
class TaskMetrics:
    """Quality of one task's predictions."""

    auc: float
    """Exact AUC; nan if all labels are equal."""

    auc_standard_error: float
    """DeLong's; two AUCs closer than about twice this cannot be distinguished. nan with fewer than two of a class."""

    log_loss: float
    """Nats an impression."""

    calibration: float
    """Sum of predictions over sum of labels; nan if no label is 1."""

    positives: int
    impressions: int
    """Those that the task counts: for cvr the clicked ones."""

    gauc: float = math.nan
    """AUC by user, weighted by the user's impressions; nan if no user has both classes, or users were not given."""

    gauc_users: int = 0
    """Users that ``gauc`` is the mean over."""

    gauc_one_class_users: int = 0
    """Users that it leaves out, as all their impressions have one label."""

    calibration_standard_error: float = math.nan
    """Standard error of ``calibration``; nan if no label is 1, and where an older version evaluated."""

    expected_calibration_error: float = math.nan
    """Mean distance of prediction and label over the deciles of predictions (``deciles``); nan as above."""

    calibration_error_of_noise: float = math.nan
    """About what ``expected_calibration_error`` would be if all predictions were right; nan as above."""


def to_mapping(metrics: dict[str, TaskMetrics]) -> dict[str, dict[str, float | int | None]]:
    """Return metrics as plain dicts for JSON, which has no nan and no infinity: those become None (null)."""
    return {name: {f.name: _json_number(getattr(task, f.name)) for f in fields(task)} for name, task in metrics.items()}


def from_mapping(mapping: Mapping[str, Mapping[str, Any]]) -> dict[str, TaskMetrics]:
    """Return the metrics that ``to_mapping`` described; None becomes nan."""
    metrics = {}
    for name, task in mapping.items():
        values: dict[str, Any] = {key: math.nan if value is None else value for key, value in task.items()}
        metrics[name] = TaskMetrics(**values)
    return metrics


def _json_number(value: float | int) -> float | int | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
