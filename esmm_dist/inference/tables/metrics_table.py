"""Show the metrics of a model."""

import math
from collections.abc import Mapping
from typing import Any

from esmm_dist.text_table import text_table


def metrics_table(metrics: Mapping[str, Any], baseline: Any = None, *, calibration_errors: bool = False) -> list[str]:
    """Return the metrics of each task as a table, the AUC of the baseline beside that of the model.

    Args:
        metrics: for each task, an ``esmm_dist.model.metrics.summary.TaskMetrics``
        baseline: an ``esmm_dist.inference.baseline.Baseline``; None: no such column
        calibration_errors: whether to show the standard error of the calibration, the expected calibration error, and
            about what that is where all predictions are right
    """
    users = any(not math.isnan(m.gauc) for m in metrics.values())
    rows = [
        [
            task,
            f"{m.auc:.4f}",
            f"± {m.auc_standard_error:.4f}",
            *([f"{baseline.auc[task]:.4f}"] if baseline is not None else []),
            *(["" if math.isnan(m.gauc) else f"{m.gauc:.4f}"] if users else []),
            f"{m.log_loss:.5f}",
            f"{m.calibration:.3f}" + (f" ± {m.calibration_standard_error:.3f}" if calibration_errors else ""),
            *([f"{m.expected_calibration_error:.5f}"] if calibration_errors else []),
            *([f"{m.calibration_error_of_noise:.5f}"] if calibration_errors else []),
            f"{m.positives:,}",
            f"{m.impressions:,}",
        ]
        for task, m in metrics.items()
    ]
    columns = ["task", "AUC", "std. error", *(["baseline"] if baseline is not None else [])]
    errors = ["ECE", "ECE of noise"] if calibration_errors else []
    gauc = ["GAUC"] if users else []
    table = text_table([*columns, *gauc, "log loss", "calibration", *errors, "positives", "impressions"], rows)
    return [*table, *([] if users else [_without_gauc(metrics)]), *(baseline.lines() if baseline is not None else [])]


def _without_gauc(metrics: Mapping[str, Any]) -> str:
    if any(m.gauc_one_class_users for m in metrics.values()):
        return "no GAUC: each user's impressions all have one label"
    return "no GAUC: no impression has a user that the data set's vocabulary knows"
