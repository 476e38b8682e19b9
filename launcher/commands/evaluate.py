"""``esmm evaluate``: measure a trained model on one split."""

import math
from collections.abc import Mapping
from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome
from launcher.tasks import TASKS
from launcher.terminal.coverage_table import coverage_table
from launcher.terminal.json_line import json_value
from launcher.terminal.text_table import text_table


def _run(settings: Any, progress: Progress) -> Outcome:
    from esmm_dist.inference.evaluate import evaluate

    found = evaluate(settings, progress)
    lines = [
        *metrics_lines(found.tasks, found.baseline),
        "",
        *coverage_table(found.fields),
        "empty: impressions without an id in the log; unknown: without one that the model has learned (in train: kept)",
        *(f"Warning: {line}" for line in found.warnings),
    ]
    return Outcome(lines=lines, result=json_value(found.to_mapping()))


def metrics_lines(metrics: Mapping[str, Any], baseline: Any = None) -> list[str]:
    """Draw the metrics of each task as a table, the AUC of the baseline beside that of the model.

    Args:
        metrics: For each task, an ``esmm_dist.model.metrics.summary.TaskMetrics``.
        baseline: An ``esmm_dist.inference.baseline.Baseline``; None: no such column.
    """
    rows = [
        [
            task,
            f"{m.auc:.4f}",
            f"± {m.auc_standard_error:.4f}",
            *([f"{baseline.auc[task]:.4f}"] if baseline is not None else []),
            "" if math.isnan(m.gauc) else f"{m.gauc:.4f}",
            f"{m.log_loss:.5f}",
            f"{m.calibration:.3f}",
            f"{m.positives:,}",
            f"{m.impressions:,}",
        ]
        for task, m in metrics.items()
    ]
    columns = ["task", "AUC", "std. error", *(["baseline"] if baseline is not None else [])]
    table = text_table([*columns, "GAUC", "log loss", "calibration", "positives", "impressions"], rows)
    return [*table, *(baseline.lines() if baseline is not None else [])]


COMMAND = Command(
    name="evaluate",
    summary="Measure a trained model on one split: exact AUC with its standard error, log loss, calibration.",
    example="esmm evaluate --run run --data data --split test",
    load_settings=TASKS["evaluate"].load_settings,
    run=_run,
    in_ranks=True,
    stored=TASKS["evaluate"].stored,
)
