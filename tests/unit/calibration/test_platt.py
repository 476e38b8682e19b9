"""Platt scaling finds the line that logits are away from right."""

import numpy as np
import pytest
from scipy.optimize import minimize

from esmm_dist.calibration.platt import fit_platt
from tests.unit.calibration.scored_logs import counts_of, label_counts, scored_log


def test_a_planted_line_is_found_for_each_label():
    log = scored_log(400_000, slopes=(0.8, 1.3), intercepts=(-0.5, 0.4))
    click, conversion = (fit_platt(each) for each in counts_of(log))
    assert click is not None
    assert conversion is not None
    # a standard error is below 0.01 with 70,000 clicks
    assert (click.slope, click.intercept) == pytest.approx((0.8, -0.5), abs=0.03)
    assert (conversion.slope, conversion.intercept) == pytest.approx((1.3, 0.4), abs=0.03)


def test_it_is_the_line_of_least_loss_towards_the_smoothed_targets():
    counts = label_counts([-2.0, -1.0, 0.5, 2.0], [1, 3, 5, 20], [30, 9, 4, 2])
    found = fit_platt(counts)
    high, low = 30 / 31, 1 / 47  # 29 positives, 45 negatives

    def loss(line):
        z = line[0] * counts.logits + line[1]
        towards_1 = counts.positive * high + counts.negative * low
        return (towards_1 * np.logaddexp(0, -z) + (counts.weights - towards_1) * np.logaddexp(0, z)).sum()

    expected = minimize(loss, [1.0, 0.0], tol=1e-12).x
    assert found is not None
    np.testing.assert_allclose([found.slope, found.intercept], expected, rtol=1e-5)


def test_the_sum_of_predictions_is_the_sum_of_labels_but_for_the_smoothing():
    for counts in counts_of(scored_log(50_000, slopes=(0.5, 0.7), intercepts=(-1.0, 0.9))):
        found = fit_platt(counts)
        assert found is not None
        assert counts.predicted_over_happened(found.of(counts.logits)) == pytest.approx(1.0, abs=1e-3)
        assert abs((counts.predicted_over_happened(counts.logits) or 0) - 1) > 0.1  # it was not before


def test_impressions_that_a_line_tells_apart_give_finite_numbers():
    found = fit_platt(label_counts([-1.0, 1.0], [0, 50], [50, 0]))
    assert found is not None
    # sigmoid(slope) = 51/52 and sigmoid(-slope) = 1/52
    assert (found.slope, found.intercept) == pytest.approx((np.log(51), 0.0), abs=1e-6)


@pytest.mark.parametrize(
    ("positive", "negative"),
    [([30, 10], [10, 30]), ([20, 20], [20, 20])],  # falling; level
)
def test_logits_that_say_nothing_or_the_opposite_give_no_line(positive, negative):
    assert fit_platt(label_counts([-1.0, 1.0], positive, negative)) is None


def test_logits_that_are_all_equal_give_no_line():
    assert fit_platt(label_counts([0.25], [30], [50])) is None


def test_far_logits_of_few_impressions_do_not_break_the_steps():
    found = fit_platt(
        label_counts([-31.0, -8.0, -7.5, -7.0, 30.0], [0, 400, 900, 2000, 1], [9, 10**6, 10**6, 10**6, 0])
    )
    assert found is not None
    assert 0 < found.slope < 3
