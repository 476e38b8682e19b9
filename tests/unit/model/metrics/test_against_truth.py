"""Predictions against true probabilities: by hand, against all pairs, and against labels that are drawn."""

import math

import numpy as np
import pytest

from esmm_dist.errors import InputDataError, NumericalError
from esmm_dist.model.metrics import exact_auc
from esmm_dist.model.metrics.against_truth import expected_auc, truth_figures


def by_all_pairs(scores, truth):
    right = pairs = 0.0
    for i, (s, p) in enumerate(zip(scores, truth, strict=True)):
        for j, (t, r) in enumerate(zip(scores, truth, strict=True)):
            if i != j:
                right += p * (1 - r) * ((s > t) + (s == t) / 2)
                pairs += p * (1 - r)
    return right / pairs


def test_expected_auc_of_two_impressions_is_the_share_of_the_better_order():
    # positive 0.6 above negative 0.8 (weight 0.48), or positive 0.2 above negative 0.4 (weight 0.08, out of order)
    assert expected_auc([0.9, 0.1], [0.6, 0.2]) == pytest.approx(0.48 / 0.56)
    assert expected_auc([0.1, 0.9], [0.6, 0.2]) == pytest.approx(0.08 / 0.56)
    assert expected_auc([0.5, 0.5], [0.6, 0.2]) == pytest.approx(0.5)


@pytest.mark.parametrize("levels", [4, 10**6])
def test_expected_auc_counts_all_pairs_ties_by_half(levels):
    random = np.random.default_rng(levels)
    scores, truth = random.integers(0, levels, 60) / levels, random.random(60)
    assert expected_auc(scores, truth) == pytest.approx(by_all_pairs(scores, truth), rel=1e-12)


def test_of_probabilities_0_and_1_it_is_the_auc_of_these_labels():
    random = np.random.default_rng(2)
    scores, labels = random.integers(0, 9, 200), random.integers(0, 2, 200)
    assert expected_auc(scores, labels) == pytest.approx(exact_auc(scores, labels), rel=1e-12)


def test_aucs_of_drawn_labels_fluctuate_about_it():
    random = np.random.default_rng(3)
    truth = random.random(2000) ** 3
    scores = truth + random.normal(0, 0.2, 2000)
    drawn = [exact_auc(scores, random.random(2000) < truth) for _ in range(400)]
    error = np.std(drawn, ddof=1) / math.sqrt(400)
    assert abs(np.mean(drawn) - expected_auc(scores, truth)) < 4 * error
    assert abs(np.mean(drawn) - exact_auc(scores, truth > 0.5)) > 20 * error  # the test can tell


def test_calibration_and_divergence_by_hand():
    found = truth_figures([0.5, 0.25], [0.5, 0.5])
    assert found.impressions == 2
    assert found.calibration == pytest.approx(0.75)
    # 0 for the first; 0.5 ln(0.5 / 0.25) + 0.5 ln(0.5 / 0.75) for the second
    assert found.divergence == pytest.approx((0.5 * math.log(2) + 0.5 * math.log(2 / 3)) / 2)


def test_the_truth_itself_is_calibrated_and_has_no_divergence():
    truth = np.array([0.0, 0.2, 0.9, 1.0])
    found = truth_figures(truth, truth)
    assert found.calibration == 1
    assert found.divergence == pytest.approx(0, abs=1e-7)  # predictions of 0 and 1 are taken as 2^-24 from them


def test_a_prediction_of_0_or_1_costs_much_but_not_everything():
    # p = 1/2 each: half of -ln 2^-24, less the entropy of the truth, ln 2
    expected = 12 * math.log(2) - math.log(2)
    assert truth_figures([0.0, 1.0], [0.5, 0.5]).divergence == pytest.approx(expected, abs=1e-6)


def test_what_has_no_pairs_has_no_auc():
    assert math.isnan(expected_auc([], []))
    assert math.isnan(expected_auc([0.3], [0.5]))
    assert math.isnan(expected_auc([0.3, 0.4], [0.0, 0.0]))
    empty = truth_figures([], [])
    assert math.isnan(empty.calibration)
    assert math.isnan(empty.divergence)
    assert math.isnan(truth_figures([0.1], [0.0]).calibration)


def test_what_is_no_probability_is_refused():
    with pytest.raises(InputDataError, match=r"True probability at 1 is 1.5, outside of 0 .. 1"):
        expected_auc([0.1, 0.2], [0.5, 1.5])
    with pytest.raises(InputDataError, match="True probability at 0 is nan"):
        truth_figures([0.1], [math.nan])
    with pytest.raises(InputDataError, match="Scores have shape"):
        truth_figures([0.1], [0.5, 0.5])
    with pytest.raises(NumericalError, match="NaN"):
        truth_figures([math.nan], [0.5])
