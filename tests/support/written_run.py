"""Folders of runs, written by hand: what a training writes, without one."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from esmm_dist.config import build, to_mapping
from esmm_dist.train.config import TrainConfig

START = 1_790_000_000.0
"""When written runs begin: September 2026."""


def evaluation(step: int, split: str = "test", *, whole: bool = True, **auc: float) -> dict[str, Any]:
    """Return an evaluation as ``metrics.json`` has it; nan is written as training writes it."""
    return {
        "step": step,
        "split": split,
        "whole_split": whole,
        "metrics": {
            task: {
                "auc": value,
                "auc_standard_error": 0.004,
                "log_loss": 0.3,
                "calibration": 1.001,
                "calibration_standard_error": 0.01,
                "positives": 7000,
                "impressions": 70_000,
                "gauc": value - 0.02,
            }
            for task, value in auc.items()
        },
    }


def losses(steps: int, every: int = 20) -> list[dict[str, float]]:
    """Return lines of a log whose losses fall to 0.3 and 0.1."""
    return [
        {
            "step": step,
            "ctr_loss": 0.3 + 0.4 * math.exp(-step / 100) + 0.01 * math.sin(step),
            "ctcvr_loss": 0.1 + 0.2 * math.exp(-step / 100) + 0.005 * math.cos(step),
        }
        for step in range(every, steps + 1, every)
    ]


def speed(steps: int, every: int = 20, *, at: float = START, seconds: float = 2.0) -> list[dict[str, Any]]:
    """Return lines of ``speed.jsonl``: 64 impressions a step, of the time 0.2 input, 0.1 pull, 0.5 step, 0.15 push."""
    return [
        {
            "at": at + seconds * number,
            "step": number * every,
            "steps": every,
            "impressions": every * 64,
            "ranks": 2,
            "seconds": seconds,
            "input_s": 0.2 * seconds,
            "pull_s": 0.1 * seconds,
            "step_s": 0.5 * seconds,
            "push_s": 0.15 * seconds,
            "tables": {
                "main": {"rows": 1000 + 50 * number, "bytes": 100_000 + 5_000 * number},
                "other": {"rows": 10 * number, "bytes": 1_000 * number},
            },
        }
        for number in range(1, steps // every + 1)
    ]


def events(*found: tuple[float, str, int | None, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return lines of ``history.jsonl`` from (seconds after the start, event, step, details)."""
    return [{"at": START + at, "event": event, "step": step, **details} for at, event, step, details in found]


def write_run(
    folder: Path,
    *,
    evaluations: Sequence[Mapping[str, Any]] = (),
    best: Mapping[str, Any] | None = None,
    baseline: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    data_sets: Sequence[Mapping[str, Any]] = (),
    **lines: Sequence[Mapping[str, Any]],
) -> Path:
    """Write the files of a run and return its folder.

    Args:
        folder: folder of the run, made here
        evaluations: those in ``metrics.json``
        best: best one of early stopping
        baseline: what logistic regression reaches
        settings: settings of the training that are given; None: there is no ``config.yaml``
        data_sets: records of ``data_sets.json``
        lines: lines of ``train_log``, ``speed``, ``history`` and ``events``, each a file of that name
    """
    folder.mkdir(parents=True, exist_ok=True)
    if evaluations or baseline:
        content = {"newest": evaluations[-1] if evaluations else {}, "evaluations": list(evaluations)}
        content |= {"best": best} if best else {}
        content |= {"baseline": baseline} if baseline else {}
        (folder / "metrics.json").write_text(json.dumps(content))
    if settings is not None:
        config = build(TrainConfig, {"data": "data", "run": str(folder), **settings}, where="test")
        (folder / "config.yaml").write_text(yaml.safe_dump(to_mapping(config), sort_keys=False))
    if data_sets:
        (folder / "data_sets.json").write_text(json.dumps({"data_sets": list(data_sets)}))
    for name, entries in lines.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in entries))
    return folder


def data_set(number: int, **changes: Any) -> dict[str, Any]:
    """Return the record of the data set of a day, 100 steps each."""
    return {
        "id": f"day-{number}",
        "data": f"days/2026-09-{number:02}",
        "manifest_crc32c": number,
        "impressions": 6400,
        "first_step": 100 * (number - 1),
        "last_step": 100 * number,
        "from_step": 100 * (number - 1),
        "finished": True,
        "chosen": [],
        "first": None,
        **changes,
    }
