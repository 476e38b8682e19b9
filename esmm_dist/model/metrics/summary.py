"""All metrics of a label chain at once.

A chain (click, conversion) has two conditional predictions and three tasks::

    task     prediction                 among              against
    ctr      P(click)                   impressions        click
    cvr      P(conversion | click)      clicked ones       conversion
    ctcvr    P(click) P(conv. | click)  impressions        conversion

A longer chain (a, b, c) has ``a``, ``b_given_a``, ``b``, ``c_given_b``, ``c``: each label's conditional prediction
among the impressions where the label before it is 1, and its running product among all. Chains of two labels keep the
three usual names, whatever their labels are called.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from esmm_dist.errors import InputDataError
from esmm_dist.model.metrics.auc import auc_standard_error, exact_auc
from esmm_dist.model.metrics.calibration import calibration
from esmm_dist.model.metrics.checks import checked_labels, checked_scores, checked_weights
from esmm_dist.model.metrics.gauc import Gauc, gauc
from esmm_dist.model.metrics.log_loss import log_loss

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


def task_names(label_names: Sequence[str]) -> list[str]:
    """Return the names of a chain's tasks, in the order in which ``evaluate_scores`` gives them."""
    if len(label_names) == 2:
        return ["ctr", "cvr", "ctcvr"]
    pairs = itertools.pairwise(label_names)
    return [label_names[0], *(name for before, label in pairs for name in (f"{label}_given_{before}", label))]


def evaluate_scores(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    label_names: Sequence[str],
    *,
    scale: Scale = "probability",
    users: npt.NDArray[np.int64] | None = None,
    weights: npt.ArrayLike | None = None,
) -> dict[str, TaskMetrics]:
    """Compute the metrics of every task of a label chain.

    Args:
        labels: 0/1 [N, K] after the chain rule: never 1 after a 0.
        scores: float32 or float64 [N, K], column k the model's P(label k | labels before it are 1).
        label_names: The K names of the chain.
        scale: What ``scores`` holds. Prefer ``logit`` or ``log_probability`` from a float32 model: a probability
            within 6e-8 of 1 is rounded to 1 and ties with its neighbours, and products near 1e-7 are summed here as
            float64 logarithms, so that the ranking keeps every bit that the model computed.
        users: int64 [N], the user of each impression, ``NO_USER`` where it is not known. None: no GAUC.
        weights: float [N], sample weights, 0 or more. None: 1 each. Counts are of impressions, whatever their weight.

    Returns:
        Metrics by task name, see the module's table. On empty input every figure is nan and every count 0.

    Raises:
        InputDataError: Shapes or label values are wrong, a label is 1 after a 0, or a probability is outside [0, 1].
        NumericalError: A score is NaN.
    """
    positive = checked_labels(labels)
    if positive.ndim != 2 or positive.shape[1] != len(label_names):
        raise InputDataError(
            f"Labels have shape {list(positive.shape)}; the chain {list(label_names)} needs [N, {len(label_names)}]."
        )
    if (positive[:, 1:] & ~positive[:, :-1]).any():
        raise InputDataError(
            f"A label of the chain {list(label_names)} is 1 after a 0. Set it to 0 first, as preprocess does."
        )
    values = checked_scores(scores, positive.shape)
    weight = None if weights is None else checked_weights(weights, positive.shape[:1])
    if weight is not None and (weight == 1).all():
        weight = None  # the same to the last bit
    names = iter(task_names(label_names))
    metrics: dict[str, TaskMetrics] = {}
    log_product = np.zeros(positive.shape[0])
    reached = np.ones(positive.shape[0], np.bool_)
    for k in range(len(label_names)):
        log_conditional = _log_probabilities(values[:, k], scale)
        log_product += log_conditional
        if k > 0:
            metrics[next(names)] = _task_metrics(
                log_conditional[reached], positive[reached, k], _chosen(users, reached), _chosen(weight, reached)
            )
        metrics[next(names)] = _task_metrics(log_product, positive[:, k], users, weight)
        reached = positive[:, k]
    return metrics


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


def _chosen(array: npt.NDArray[Any] | None, mask: npt.NDArray[np.bool_]) -> npt.NDArray[Any] | None:
    return None if array is None else array[mask]


def _task_metrics(
    log_probabilities: npt.NDArray[np.float64],
    positive: npt.NDArray[np.bool_],
    users: npt.NDArray[np.int64] | None,
    weights: npt.NDArray[np.float64] | None,
) -> TaskMetrics:
    by_user = Gauc(value=math.nan, users=0, one_class_users=0)
    if users is not None:
        by_user = gauc(log_probabilities, positive, users, weights)
    return TaskMetrics(
        auc=exact_auc(log_probabilities, positive, weights),
        auc_standard_error=auc_standard_error(log_probabilities, positive, weights),
        log_loss=log_loss(log_probabilities, positive, weights),
        calibration=calibration(np.exp(log_probabilities), positive, weights),
        positives=int(positive.sum()),
        impressions=int(positive.size),
        gauc=by_user.value,
        gauc_users=by_user.users,
        gauc_one_class_users=by_user.one_class_users,
    )


def _log_probabilities(scores: npt.NDArray[np.float64], scale: Scale) -> npt.NDArray[np.float64]:
    """Return float64 log p, at most 0."""
    wide = scores.astype(np.float64)
    if scale == "logit":
        return -np.logaddexp(0.0, -wide)
    if scale == "log_probability":
        return np.minimum(wide, 0.0)  # float32 softplus may leave a few ulps above 0
    if wide.size and (wide.min() < 0 or wide.max() > 1):
        raise InputDataError(
            f"Probabilities reach from {wide.min():.6g} to {wide.max():.6g}. "
            "Give values in [0, 1], or say which scale these are (scale='logit' or 'log_probability')."
        )
    with np.errstate(divide="ignore"):  # log 0 = -inf is meant: it ranks last, and log_loss cuts it
        logs: npt.NDArray[np.float64] = np.log(wide)
    return logs


def _json_number(value: float | int) -> float | int | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
