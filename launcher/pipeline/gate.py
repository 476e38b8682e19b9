"""The gate: whether a day's model may replace the one in service. Pure functions."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from launcher.pipeline.gate_config import GateConfig

Metrics = Mapping[str, Mapping[str, Any]]
"""For each task ``auc``, ``calibration``, ``positives`` and ``impressions``; a number that does not exist is None."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the gate says of a model."""

    passed: bool
    reasons: tuple[str, ...]
    """Why it is refused, one sentence for each; none if it passed."""
    notes: tuple[str, ...] = ()
    """What could not be compared."""


def judge(config: GateConfig, candidate: Metrics, in_service: Metrics | None, own_day: Metrics | None) -> Verdict:
    """Decide whether a model may be published.

    Args:
        config: limits
        candidate: metrics of the day's model
        in_service: metrics of the model in service, on the same impressions; None: there is none
        own_day: metrics that the model in service had on the day that it was published for; None: there is none
    """
    reasons: list[str] = []
    notes: list[str] = []
    missing = [task for task in {**dict.fromkeys(config.tasks), **config.min_auc} if task not in candidate]
    reasons += [f"there is no task {task}; tasks are {', '.join(candidate)}" for task in missing]
    compared = 0
    for task in config.tasks or candidate:
        if task not in candidate:
            continue
        found = candidate[task]
        if found["positives"] == 0:
            notes.append(f"{task} has no positives, so that it is not compared")
            continue
        compared += 1
        reasons += _calibration(config, task, found, _of(in_service, task))
        if found["positives"] == found["impressions"]:
            notes.append(f"{task} has positives alone, so that its AUC is not compared")
        else:
            reasons += _auc(config, task, found, _of(in_service, task), _of(own_day, task))
    if not compared and not reasons:
        reasons.append("no task has a positive label, so that nothing can be compared")
    return Verdict(passed=not reasons, reasons=tuple(reasons), notes=tuple(notes))


def _of(metrics: Metrics | None, task: str) -> Mapping[str, Any]:
    return {} if metrics is None else metrics.get(task, {})


def _auc(
    config: GateConfig,
    task: str,
    found: Mapping[str, Any],
    in_service: Mapping[str, Any],
    own_day: Mapping[str, Any],
) -> Iterator[str]:
    auc = _number(found["auc"])
    if not math.isfinite(auc):
        yield f"{task}: predictions are not finite, so that there is no AUC"
        return
    before = _number(in_service.get("auc"))
    if auc < before - config.max_auc_drop:
        yield (
            f"{task}: AUC {auc:.4f} is {before - auc:.4f} below the {before:.4f} of the model in service "
            f"(max_auc_drop {config.max_auc_drop:g})"
        )
    then = _number(own_day.get("auc"))
    if config.max_day_auc_drop is not None and auc < then - config.max_day_auc_drop:
        yield (
            f"{task}: AUC {auc:.4f} is {then - auc:.4f} below the {then:.4f} that the model in service had on its own "
            f"day (max_day_auc_drop {config.max_day_auc_drop:g}): look at the labels of this day"
        )
    least = config.min_auc.get(task, 0.0)
    if auc < least:
        yield f"{task}: AUC {auc:.4f} is below min_auc {least:g}"


def _calibration(
    config: GateConfig, task: str, found: Mapping[str, Any], in_service: Mapping[str, Any]
) -> Iterator[str]:
    error = _log_distance(found["calibration"])
    if not math.isfinite(error):
        yield f"{task}: calibration is {found['calibration']}, which is no positive number"
        return
    before = _log_distance(in_service.get("calibration"))
    if error > before + config.max_calibration_drift:
        yield (
            f"{task}: calibration {found['calibration']:.3f} is farther from 1 than the "
            f"{in_service['calibration']:.3f} of the model in service, by {error - before:.3f} in |log| "
            f"(max_calibration_drift {config.max_calibration_drift:g})"
        )
    if config.max_calibration_error is not None and error > config.max_calibration_error:
        yield (
            f"{task}: |log| of calibration {found['calibration']:.3f} is {error:.3f}, above max_calibration_error "
            f"{config.max_calibration_error:g}"
        )


def _log_distance(calibration: float | None) -> float:
    """Return |log calibration|; nan, which compares with nothing, where there is none."""
    value = _number(calibration)
    return abs(math.log(value)) if math.isfinite(value) and value > 0 else math.nan


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
