"""The table of days that ends a pipeline."""

from collections.abc import Mapping
from typing import Any

from esmm_dist.text_table import text_table
from launcher.pipeline.state import DayState, PipelineState

_HEAD = ["day", "task", "before learning", "AUC", "std. error", "in service", "calibration", "gate", "version"]


def days_table(state: PipelineState) -> list[str]:
    """Return the lines of a table: for each day and task the AUCs, the gate and the version."""
    rows = []
    for day, found in state.days.items():
        if "evaluate" not in found.steps:
            continue
        for number, row in enumerate(_rows(found)):
            rows.append([day if number == 0 else "", *row])
    if not rows:
        return []
    return [
        *text_table(_HEAD, rows),
        "before learning: AUC on the day's train split before the model learned from it; in service: AUC of the model "
        "that was in service",
    ]


def _rows(day: DayState) -> list[list[str]]:
    steps = day.steps
    progressive = steps["train"].result.get("progressive", {}) if "train" in steps else {}
    in_service = steps["compare"].result if "compare" in steps else {}
    rows = []
    for number, (task, found) in enumerate(steps["evaluate"].result.items()):
        last = [_gate(day), str(day.version or "-")] if number == 0 else ["", ""]
        rows.append(
            [
                task,
                _number(progressive.get(task, {}).get("auc"), ".4f"),
                _number(found["auc"], ".4f"),
                f"± {_number(found['auc_standard_error'], '.4f')}",
                _number(in_service.get(task, {}).get("auc"), ".4f"),
                _number(found["calibration"], ".3f"),
                *last,
            ]
        )
    return rows


def _gate(day: DayState) -> str:
    gate = day.steps.get("gate")
    if gate is None:
        return "-"
    if not gate.result["passed"]:
        return "refused"
    return "passed" if "compare" in day.steps else "first"


def days_result(state: PipelineState) -> dict[str, Any]:
    """Return the same for a program."""
    return {day: _result(found) for day, found in state.days.items()}


def _result(day: DayState) -> Mapping[str, Any]:
    steps = {name: step.result for name, step in day.steps.items()}
    return {
        "impressions": steps.get("preprocess", {}).get("impressions"),
        "data_set": day.begun,
        "step": steps.get("train", {}).get("step"),
        "progressive": steps.get("train", {}).get("progressive"),
        "metrics": steps.get("evaluate"),
        "in_service_metrics": steps.get("compare"),
        "gate": steps.get("gate"),
        "version": day.version if day.published else None,
    }


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
