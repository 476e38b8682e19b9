"""Calibration by decile: bins of equal weight, whole ties, and the errors that follow from them."""

import math
from dataclasses import asdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.model.metrics.deciles import (
    Decile,
    DecileSums,
    calibration_error_of_noise,
    exact_total,
    expected_calibration_error,
)
from tests.unit.model.metrics.formulas import by_decile, calibration_error


def deciles(scores, labels, weights=None, *, cut=7):
    """Return the deciles of impressions that come in blocks of ``cut``."""
    keys = (scores,) if weights is None else (weights, scores)
    order = np.lexsort(keys)
    sums = DecileSums(Fraction(len(scores)) if weights is None else exact_total(weights))
    for begin in range(0, len(scores), cut):
        of = order[begin : begin + cut]
        sums.add(scores[of], labels[of], None if weights is None else weights[of])
    return sums.deciles()


def test_a_hundred_different_predictions_make_ten_bins_of_ten():
    labels = np.arange(100) % 4 == 0
    found = deciles(np.log(np.arange(1, 101) / 100), labels)
    assert [each.decile for each in found] == list(range(1, 11))
    assert [each.impressions for each in found] == [10] * 10
    # The lowest ten are 1 % .. 10 %; of impressions 0 .. 9 those of 0, 4 and 8 have label 1
    assert found[0].mean_prediction == pytest.approx(0.055)
    assert found[0].mean_label == 0.3
    assert found[0].calibration == pytest.approx(0.055 / 0.3)
    # 3 ones and 7 zeros: sample variance 0.7² · 3 + 0.3² · 7 over 9
    assert found[0].mean_label_standard_error == pytest.approx(math.sqrt((0.49 * 3 + 0.09 * 7) / 9 / 10))


def test_equal_predictions_stay_together_in_the_bin_that_holds_their_middle():
    # 20 impressions: 3 of 10 %, 11 of 20 % (their middle is at 8.5 of 20: the fifth bin), 6 of 30 %
    scores = np.log(np.repeat([0.1, 0.2, 0.3], [3, 11, 6]))
    found = deciles(scores, np.zeros(20, np.bool_), cut=4)
    assert [(each.decile, each.impressions) for each in found] == [(1, 3), (5, 11), (9, 6)]
    assert all(math.isnan(each.calibration) for each in found)


def test_a_prediction_below_all_numbers_and_one_of_1_are_in_the_outer_bins():
    scores = np.array([-np.inf, *[-1.0] * 8, 0.0])
    found = deciles(scores, np.array([False] * 9 + [True]))
    assert [(each.decile, each.impressions, each.mean_prediction) for each in found] == [
        (1, 1, 0.0), (6, 8, pytest.approx(math.exp(-1))), (10, 1, 1.0)
    ]  # fmt: skip
    assert math.isnan(found[0].mean_label_standard_error)  # one impression


def test_impressions_without_a_weight_make_no_bin():
    assert deciles(np.log([0.1, 0.2]), np.array([True, False]), np.zeros(2)) == ()
    assert deciles(np.zeros(0), np.zeros(0, np.bool_)) == ()
    assert math.isnan(expected_calibration_error([]))
    assert math.isnan(calibration_error_of_noise([]))


@given(st.integers(1, 60), st.integers(0, 999), st.booleans(), st.booleans())
def test_deciles_are_those_of_the_formulas(size, seed, weighted, ties):
    random = np.random.default_rng(seed)
    scores = -random.exponential(2, size)
    scores = np.round(scores) if ties else scores
    labels = random.random(size) < np.exp(scores)
    weights = random.choice([0, 0.25, 1, 2.5], size) if weighted else None
    found = [asdict(each) for each in deciles(scores, labels, weights)]
    expected = by_decile(scores, labels, weights)
    assert [each["decile"] for each in found] == [each["decile"] for each in expected]
    for each, of in zip(found, expected, strict=True):
        # A mean label of 1 has the error 0, and the formula's is a rounding of 1
        assert each == pytest.approx(of, rel=1e-12, abs=1e-8, nan_ok=True)


def test_the_expected_calibration_error_is_the_mean_distance_by_weight():
    def decile(weight, prediction, label, error):
        return Decile(
            decile=1, impressions=5, weight=weight, mean_prediction=prediction, mean_label=label,
            mean_label_standard_error=error, calibration=1.0,
        )  # fmt: skip

    found = [decile(1.0, 0.1, 0.3, 0.02), decile(3.0, 0.5, 0.4, 0.04)]
    assert expected_calibration_error(found) == pytest.approx((0.2 + 3 * 0.1) / 4)
    assert calibration_error_of_noise(found) == pytest.approx((0.02 + 3 * 0.04) / 4 * math.sqrt(2 / math.pi))


def test_right_predictions_have_about_the_error_of_noise():
    random = np.random.default_rng(1)
    errors, noises = [], []
    for _ in range(100):
        predictions = random.uniform(0.02, 0.3, 2000)
        found = deciles(np.log(predictions), random.random(2000) < predictions, cut=2000)
        errors.append(expected_calibration_error(found))
        noises.append(calibration_error_of_noise(found))
    assert np.mean(errors) == pytest.approx(np.mean(noises), rel=0.05)  # 1000 bins, each off by 75 % of its mean


def test_the_standard_error_of_calibration_is_the_spread_of_repeated_logs():
    random = np.random.default_rng(2)
    ratios, errors = [], []
    for _ in range(400):
        predictions = random.uniform(0.02, 0.3, 1000)
        labels = random.random(1000) < predictions / 1.3  # 30 % too much is promised
        ratios.append(predictions.sum() / labels.sum())
        errors.append(calibration_error(predictions, labels))
    assert np.mean(errors) == pytest.approx(np.std(ratios), rel=0.1)  # a spread of 400 is known to 3.5 %


@given(st.lists(st.floats(0, 1e30), max_size=50))
def test_a_total_is_exact(values):
    assert exact_total(np.array(values, np.float64)) == sum(map(Fraction, values), Fraction(0))
