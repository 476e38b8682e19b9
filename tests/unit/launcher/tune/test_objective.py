"""Which figure of an evaluation a trial is measured by."""

import math

import pytest

from esmm_dist.errors import ConfigError
from launcher.tune.objective import Objective

METRICS: dict[str, dict[str, float | None]] = {
    "ctr": {"auc": 0.7, "log_loss": 0.4, "gauc": None},
    "add to cart_given_click": {"auc": 0.9},
    "cvr": {"auc": 0.6, "log_loss": 0.5, "gauc": 0.55},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ctr.auc", 0.7),
        ("cvr.log_loss", 0.5),
        ("ctr.auc + cvr.auc", 1.3),
        ("ctr.auc + 0.5 * cvr.auc", 1.0),
        ("2 ctr.auc+.5*cvr.auc", 1.7),
        ("0.5 * add to cart_given_click.auc + ctr.auc", 1.15),
        ("ctr.gauc", math.nan),  # no user has both classes
        ("ctcvr.auc", math.nan),  # not measured yet
    ],
)
def test_the_value_is_the_weighted_sum_of_the_figures(text, value):
    objective = Objective.parse(text)
    objective.check_form()
    assert objective.value(METRICS) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "direction", "better"),
    [("ctr.auc + cvr.gauc", "maximize", "higher is better"), ("ctr.log_loss", "minimize", "lower is better")],
)
def test_the_figure_says_which_end_is_best(text, direction, better):
    assert (Objective.parse(text).direction, Objective.parse(text).better) == (direction, better)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("auc", "objective is 'auc', and 'auc' is not a task with a figure. Write ctcvr.auc"),
        ("ctr.auc +", "'' is not a task with a figure"),
        ("-1 * ctr.auc", "'-1 \\* ctr.auc' is not a task with a figure"),
        ("ctr.ac", "no best end of a figure 'ac'. Did you mean 'auc'"),
        ("ctr.calibration", "no best end of a figure 'calibration'"),
        ("0 * ctr.auc + cvr.auc", "one weight is 0. Leave that part out"),
        ("ctr.auc + ctr.log_loss", "adds figures that are best high to figures that are best low"),
    ],
)
def test_an_objective_that_says_nothing_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        Objective.parse(text).check_form()


def test_a_task_that_the_data_set_lacks_is_refused_with_the_nearest_one():
    Objective.parse("ctr.auc").check_tasks(["ctr", "cvr", "ctcvr"])
    with pytest.raises(ConfigError, match="no task 'ctvr'. Did you mean 'ctcvr'"):
        Objective.parse("ctvr.auc").check_tasks(["ctr", "cvr", "ctcvr"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ctr.auc", 0.02),
        ("2 * ctr.auc", 0.04),
        ("ctr.log_loss", math.nan),
        ("ctr.auc + cvr.auc", math.nan),
        ("cvr.auc", math.nan),
    ],
)
def test_the_standard_error_of_one_auc_is_known(text, expected):
    metrics: dict[str, dict[str, float | None]] = {
        "ctr": {"auc": 0.7, "auc_standard_error": 0.02},
        "add to cart_given_click": {"auc": 0.9},
        "cvr": {"auc": 0.6, "auc_standard_error": None},
    }
    assert Objective.parse(text).standard_error(metrics) == pytest.approx(expected, nan_ok=True)
