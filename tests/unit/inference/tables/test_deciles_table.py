"""Calibration by decile as tables."""

import math

from esmm_dist.inference.tables.deciles_table import deciles_table
from esmm_dist.model.metrics.deciles import Decile


def decile(number, label=0.25, error=0.0123456, calibration=0.98765):
    return Decile(
        decile=number, impressions=1234, weight=617.0, mean_prediction=0.246912, mean_label=label,
        mean_label_standard_error=error, calibration=calibration,
    )  # fmt: skip


def test_each_task_has_a_table_with_a_row_per_decile():
    empty, head, first, second, gap, other, only = deciles_table(
        {"ctr": [decile(1), decile(10, label=0.0, error=0.0, calibration=math.nan)], "ctcvr": [decile(2)], "cvr": []}
    )
    assert (empty, gap) == ("", "")
    assert head.split("  ")[0] == "ctr decile"
    assert other.split("  ")[0] == "ctcvr decile"
    assert first.split() == ["1", "1,234", "0.24691", "0.25000", "±", "0.01235", "0.988"]
    assert second.split() == ["10", "1,234", "0.24691", "0.00000", "±", "0.00000"]  # without a label of 1 no ratio
    assert only.split()[0] == "2"


def test_one_impression_has_no_standard_error():
    line = deciles_table({"ctr": [decile(1, error=math.nan)]})[-1]
    assert line.split() == ["1", "1,234", "0.24691", "0.25000", "0.988"]
