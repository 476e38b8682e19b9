"""The metrics of a model as a table."""

import math

import pytest

from esmm_dist.inference.baseline import Baseline
from esmm_dist.inference.tables.metrics_table import metrics_table
from esmm_dist.model.metrics.summary import TaskMetrics


def metrics(auc, gauc=0.6, **more):
    return TaskMetrics(
        auc=auc, auc_standard_error=0.00214, log_loss=0.152344, calibration=1.0236, positives=1200, impressions=34567,
        gauc=gauc, **more,
    )  # fmt: skip


def baseline(auc):
    return Baseline(
        auc={"ctr": auc}, auc_standard_error={"ctr": 0.002}, train_impressions=50, test_impressions=20,
        of_train_impressions=50, of_test_impressions=20,
    )  # fmt: skip


def cells(line):
    return line.replace("± ", "±").split()


def test_each_task_has_a_row_of_rounded_figures():
    head, ctr, ctcvr = metrics_table({"ctr": metrics(0.68914, 0.6023), "ctcvr": metrics(0.7, math.nan)})
    assert head.split() == [
        "task",
        "AUC",
        "std.",
        "error",
        "GAUC",
        "log",
        "loss",
        "calibration",
        "positives",
        "impressions",
    ]
    assert cells(ctr) == ["ctr", "0.6891", "±0.0021", "0.6023", "0.15234", "1.024", "1,200", "34,567"]
    # No user has both classes: the cell of GAUC is empty, not nan
    assert cells(ctcvr) == ["ctcvr", "0.7000", "±0.0021", "0.15234", "1.024", "1,200", "34,567"]


def test_the_baseline_stands_beside_the_model_and_says_what_it_is():
    head, ctr, below = metrics_table({"ctr": metrics(0.689)}, baseline(0.66666))
    assert head.split()[:5] == ["task", "AUC", "std.", "error", "baseline"]
    assert cells(ctr)[:4] == ["ctr", "0.6890", "±0.0021", "0.6667"]
    assert below.startswith("baseline: logistic regression on one-hot ids")


def test_calibration_errors_stand_beside_the_calibration_where_they_are_asked_for():
    task = metrics(
        0.7,
        calibration_standard_error=0.01234,
        expected_calibration_error=0.003456,
        calibration_error_of_noise=0.00123,
    )
    head, ctr = metrics_table({"ctr": task}, calibration_errors=True)
    assert head.split()[-6:] == ["ECE", "ECE", "of", "noise", "positives", "impressions"]
    assert cells(ctr)[-5:] == ["±0.012", "0.00346", "0.00123", "1,200", "34,567"]
    assert cells(metrics_table({"ctr": task})[1])[-3:] == ["1.024", "1,200", "34,567"]


@pytest.mark.parametrize(
    ("one_class", "why"),
    [(0, "no GAUC: no impression has a user that"), (7, "no GAUC: each user's impressions all have one label")],
)
def test_without_a_user_to_judge_there_is_no_column_of_gauc_but_the_reason(one_class, why):
    head, ctr, reason = metrics_table({"ctr": metrics(0.7, math.nan, gauc_one_class_users=one_class)})
    assert "GAUC" not in head
    assert len(cells(ctr)) == 7
    assert reason.startswith(why)
