"""Show the calibration of a model by decile of its predictions."""

import math
from collections.abc import Mapping, Sequence

from esmm_dist.model.metrics.deciles import Decile
from esmm_dist.text_table import text_table

_HEAD = ("decile", "impressions", "mean prediction", "mean label", "std. error", "calibration")


def deciles_table(deciles: Mapping[str, Sequence[Decile]]) -> list[str]:
    """Return a table a task, below an empty line each; nothing of a task without impressions."""
    lines = []
    for task, of_task in deciles.items():
        if of_task:
            rows = [_row(each) for each in of_task]
            lines += ["", *text_table([f"{task} {_HEAD[0]}", *_HEAD[1:]], rows)]
    return lines


def _row(decile: Decile) -> list[str]:
    return [
        str(decile.decile),
        f"{decile.impressions:,}",
        f"{decile.mean_prediction:.5f}",
        f"{decile.mean_label:.5f}",
        "" if math.isnan(decile.mean_label_standard_error) else f"± {decile.mean_label_standard_error:.5f}",
        "" if math.isnan(decile.calibration) else f"{decile.calibration:.3f}",
    ]
