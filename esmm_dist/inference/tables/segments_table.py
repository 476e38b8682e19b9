"""Show AUC and calibration of parts of the impressions."""

import math
from collections.abc import Sequence
from typing import Any

from esmm_dist.text_table import text_table

_HEAD = ("impressions", "positives", "AUC", "std. error", "calibration", "std. error")


def segments_tables(tables: Sequence[Any]) -> list[str]:
    """Return a table a task for each way in which impressions are cut, below an empty line each.

    A figure that is not defined (an AUC of one class alone) is an empty cell.

    Args:
        tables: ``esmm_dist.inference.segments.SegmentTable`` each
    """
    lines = []
    for table in tables:
        for task in table.segments[0].tasks if table.segments else ():
            rows = [_row(segment, segment.tasks[task]) for segment in table.segments if task in segment.tasks]
            lines += ["", *text_table([f"{task} by {table.title}", *_HEAD], rows)]
    return lines


def _row(segment: Any, metrics: Any) -> list[str]:
    return [
        f"{segment.name} ({segment.note})" if segment.note else segment.name,
        f"{metrics.impressions:,}",
        f"{metrics.positives:,}",
        _number(metrics.auc, "{:.4f}"),
        _number(metrics.auc_standard_error, "± {:.4f}"),
        _number(metrics.calibration, "{:.3f}"),
        _number(metrics.calibration_standard_error, "± {:.3f}"),
    ]


def _number(value: float, form: str) -> str:
    return "" if math.isnan(value) else form.format(value)
