"""Log loss and calibration, against their formulas."""

import math

import numpy as np
import pytest

from esmm_dist.errors import InputDataError, NumericalError
from esmm_dist.model.metrics import calibration, log_loss


def test_log_loss_is_the_mean_negative_log_likelihood():
    expected = -(math.log(0.8) + math.log(1 - 0.3) + math.log(1 - 0.5)) / 3
    assert log_loss(np.log([0.8, 0.3, 0.5]), [1, 0, 0]) == pytest.approx(expected, rel=1e-12)


def test_log_loss_of_a_negative_near_1e_9_keeps_its_digits():
    # -log(1 - p) = p + p²/2 + ...; computed through 1 - p in float32 it would be 0
    assert log_loss(np.log([1e-9]), [0]) == pytest.approx(1e-9, rel=1e-8)


@pytest.mark.parametrize(("log_p", "label"), [(-math.inf, 1), (0.0, 0), (1e-7, 0)])  # 1e-7: float32 noise above 0
def test_certain_and_wrong_prediction_costs_at_most_34_5_nats(log_p, label):
    assert log_loss([log_p], [label]) == pytest.approx(-math.log(1e-15))


def test_certain_and_right_predictions_cost_nothing():
    assert log_loss([-math.inf, 0.0], [0, 1]) == 0.0


def test_log_loss_of_nothing_is_nan():
    assert math.isnan(log_loss([], []))


def test_log_loss_refuses_nan():
    with pytest.raises(NumericalError, match="1 of 1 scores are NaN"):
        log_loss([math.nan], [1])


def test_calibration_is_the_sum_of_predictions_over_the_sum_of_labels():
    assert calibration([0.5, 0.25, 0.25, 0.5], [1, 0, 0, 1]) == 0.75


def test_calibration_of_float32_is_summed_in_float64():
    # 2^25 + 1 is not a float32: a float32 running sum would lose the last prediction
    assert calibration(np.array([2.0**25, 1.0], np.float32), [1, 0]) == 2.0**25 + 1


def test_calibration_without_a_positive_is_nan():
    assert math.isnan(calibration([0.5, 0.5], [0, 0]))


def test_calibration_refuses_another_shape():
    with pytest.raises(InputDataError, match=r"Scores have shape \[1\] but labels \[2\]"):
        calibration([0.5], [0, 1])
