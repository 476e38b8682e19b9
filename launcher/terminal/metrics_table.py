"""Show the metrics of a model."""

import math
from collections.abc import Mapping
from typing import Any

from launcher.terminal.text_table import text_table


def metrics_table(metrics: Mapping[str, Any], baseline: Any = None) -> list[str]:
    """Return the metrics of each task as a table, the AUC of the baseline beside that of the model.

    Args:
        metrics: for each task, an ``esmm_dist.model.metrics.summary.TaskMetrics``
        baseline: an ``esmm_dist.inference.baseline.Baseline``; None: no such column
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
