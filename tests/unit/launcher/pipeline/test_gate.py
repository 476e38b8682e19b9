"""The gate as a pure function: what it refuses, by how much, and what it cannot compare."""

import math

import pytest

from esmm_dist.errors import ConfigError
from launcher.pipeline.gate import judge
from launcher.pipeline.gate_config import GateConfig


def task(auc: float | None = 0.7, calibration: float | None = 1.0, positives: int = 50, impressions: int = 100):
    return {"auc": auc, "calibration": calibration, "positives": positives, "impressions": impressions}


def of(**tasks):
    return {name: task(**values) for name, values in tasks.items()}


IN_SERVICE = of(ctr={"auc": 0.70, "calibration": 1.02}, ctcvr={"auc": 0.72, "calibration": 0.96})


def test_a_model_as_good_as_the_one_in_service_passes():
    verdict = judge(GateConfig(max_auc_drop=0, max_calibration_drift=0), IN_SERVICE, IN_SERVICE, IN_SERVICE)
    assert verdict.passed
    assert verdict.reasons == verdict.notes == ()


def test_the_first_model_passes_without_a_comparison():
    assert judge(GateConfig(), of(ctr={"auc": 0.4, "calibration": 3.0}), None, None).passed


@pytest.mark.parametrize(("auc", "passed"), [(0.6951, True), (0.6949, False), (0.9, True)])
def test_an_auc_may_be_lower_by_the_stated_amount(auc, passed):
    candidate = {**IN_SERVICE, "ctr": task(auc=auc, calibration=1.02)}
    verdict = judge(GateConfig(max_auc_drop=0.005), candidate, IN_SERVICE, None)
    assert verdict.passed == passed
    if not passed:
        assert verdict.reasons == (
            "ctr: AUC 0.6949 is 0.0051 below the 0.7000 of the model in service (max_auc_drop 0.005)",
        )


@pytest.mark.parametrize(
    ("before", "after", "passed"),
    [
        # log 1.02 = 0.0198; the limit is 0.0698 in either direction
        (1.02, 1.072, True),
        (1.02, 1.073, False),
        (1.02, 1 / 1.072, True),
        (1.02, 1 / 1.073, False),
        (2.0, 1.0, True),
    ],
)
def test_a_calibration_may_be_farther_from_one_by_the_stated_amount(before, after, passed):
    config = GateConfig(max_calibration_drift=0.05)
    verdict = judge(config, of(ctr={"calibration": after}), of(ctr={"calibration": before}), None)
    assert verdict.passed == passed
    if not passed:
        drift = abs(math.log(after)) - abs(math.log(before))
        assert f"calibration {after:.3f} is farther from 1 than the {before:.3f}" in verdict.reasons[0]
        assert f"by {drift:.3f} in |log| (max_calibration_drift 0.05)" in verdict.reasons[0]


def test_a_day_on_which_both_models_are_bad_is_refused():
    """Labels that are shuffled leave both models at 0.5: only the own day of the model in service tells."""
    coin = of(ctr={"auc": 0.5})
    own_day = of(ctr={"auc": 0.56})
    verdict = judge(GateConfig(), coin, coin, own_day)
    assert verdict.reasons == (
        "ctr: AUC 0.5000 is 0.0600 below the 0.5600 that the model in service had on its own day (max_day_auc_drop "
        "0.05): look at the labels of this day",
    )
    assert judge(GateConfig(max_day_auc_drop=None), coin, coin, own_day).passed
    assert judge(GateConfig(max_day_auc_drop=0.06001), coin, coin, own_day).passed


def test_absolute_limits_hold_for_the_first_model_too():
    config = GateConfig(min_auc={"ctr": 0.6}, max_calibration_error=0.1)
    assert judge(config, of(ctr={"auc": 0.6, "calibration": 1.105}), None, None).passed
    verdict = judge(config, of(ctr={"auc": 0.59, "calibration": 1.2}), None, None)
    assert verdict.reasons == (
        "ctr: |log| of calibration 1.200 is 0.182, above max_calibration_error 0.1",
        "ctr: AUC 0.5900 is below min_auc 0.6",
    )


def test_only_the_named_tasks_count():
    candidate = of(ctr={"auc": 0.1}, ctcvr={"auc": 0.72, "calibration": 0.96})
    assert judge(GateConfig(tasks=("ctcvr",)), candidate, IN_SERVICE, None).passed
    assert not judge(GateConfig(), candidate, IN_SERVICE, None).passed


def test_a_task_that_does_not_exist_is_refused_by_its_name():
    verdict = judge(GateConfig(tasks=("ctr", "order")), IN_SERVICE, IN_SERVICE, None)
    assert verdict.reasons == ("there is no task order; tasks are ctr, ctcvr",)
    assert not judge(GateConfig(min_auc={"order": 0.6}), IN_SERVICE, IN_SERVICE, None).passed


def test_a_task_without_positives_is_passed_over_and_said():
    candidate = {**IN_SERVICE, "cvr": task(auc=None, calibration=None, positives=0)}
    verdict = judge(GateConfig(), candidate, {**IN_SERVICE, "cvr": task(auc=None, calibration=None)}, None)
    assert verdict.passed
    assert verdict.notes == ("cvr has no positives, so that it is not compared",)


def test_a_task_of_positives_alone_is_compared_by_its_calibration():
    candidate = of(ctr={"auc": None, "calibration": 1.5, "positives": 100})
    verdict = judge(GateConfig(), candidate, candidate, None)
    assert verdict.passed
    assert verdict.notes == ("ctr has positives alone, so that its AUC is not compared",)
    assert not judge(GateConfig(), candidate, of(ctr={"auc": None, "positives": 100}), None).passed


def test_a_model_that_nothing_can_be_said_of_is_refused():
    nothing = of(ctr={"auc": None, "calibration": None, "positives": 0})
    verdict = judge(GateConfig(), nothing, nothing, None)
    assert verdict.reasons == ("no task has a positive label, so that nothing can be compared",)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"auc": None}, "ctr: predictions are not finite, so that there is no AUC"),
        ({"calibration": None}, "ctr: calibration is None, which is no positive number"),
        ({"calibration": 0.0}, "ctr: calibration is 0.0, which is no positive number"),
    ],
)
def test_predictions_that_are_no_numbers_are_refused(values, reason):
    assert judge(GateConfig(), of(ctr=values), None, None).reasons == (reason,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_auc_drop": -0.1}, "max_auc_drop is -0.1. Set 0 or more"),
        ({"max_calibration_drift": float("nan")}, "max_calibration_drift is nan. Set 0 or more"),
        ({"min_auc": {"ctr": 60.0}}, "min_auc of ctr is 60. Set 0 .. 1"),
        ({"min_auc": {"ctr": 0.6}, "tasks": ("cvr",)}, r"min_auc names ctr, which is not among tasks \(cvr\)"),
        ({"split": ""}, "split is empty"),
    ],
)
def test_limits_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        GateConfig(**settings)
