"""Isotonic curves: pools of bins, made into lines."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from esmm_dist.arrays import F64
from esmm_dist.calibration.isotonic import fit_isotonic
from esmm_dist.calibration.label_counts import LabelCounts, sigmoid
from esmm_dist.calibration.platt import fit_platt
from tests.unit.calibration.scored_logs import counts_of, label_counts, scored_log


def test_neighbours_whose_shares_fall_are_one_knot_at_their_mean_logit():
    # shares 1/4, 3/4, 1/4, 3/4: the two in the middle are one pool of 100, half of them positive
    counts = label_counts([-2.0, 0.0, 1.0, 3.0], [25, 30, 15, 75], [75, 10, 45, 25])
    found = fit_isotonic(counts)
    np.testing.assert_allclose(found.logits, [-2.0, 0.6, 3.0])  # (40 * 0 + 60 * 1) / 100
    shares = sigmoid(np.array(found.calibrated))
    shift = np.diff(np.array(found.calibrated) - [-np.log(3), -np.log(55 / 45), np.log(3)])
    np.testing.assert_allclose(shift, 0, atol=1e-12)  # one shift for all: 45 of 100 are positive in the middle
    assert (np.diff(shares) > 0).all()
    assert counts.predicted_over_happened(found.of(counts.logits)) == pytest.approx(1.0, rel=1e-12)


def test_a_planted_curve_is_found_and_the_loss_is_near_that_of_the_steps():
    log = scored_log(300_000, slopes=(0.6, 1.0), intercepts=(0.4, 0.0))
    click, _ = counts_of(log)
    found = fit_isotonic(click)
    at = np.array([-3.0, -1.0, 0.0, 1.0])
    np.testing.assert_allclose(sigmoid(found.of(at)), sigmoid(0.6 * at + 0.4), atol=0.02)
    steps = IsotonicRegression().fit(log.logits[:, 0], log.labels[:, 0])
    np.testing.assert_allclose(sigmoid(found.of(at)), steps.predict(at), atol=0.03)
    assert len(found.logits) < 1000


def test_pools_are_joined_until_each_has_20_positives_and_20_negatives():
    logits = [-9.0, -3.0, 0.0, 1.0, 4.0, 8.0]
    counts = label_counts(logits, [0, 19, 21, 30, 60, 5], [4, 100, 60, 20, 19, 0])
    found = fit_isotonic(counts)
    # the first two have 19 positives and are joined by the third; the last two have 19 negatives and join the fourth
    lower = (-9 * 4 - 3 * 119) / 204
    upper = (50 * 1 + 4 * 79 + 8 * 5) / 134
    np.testing.assert_allclose(found.logits, [lower, upper])
    assert np.diff(found.calibrated) == pytest.approx(np.log(95 / 39) - np.log(40 / 164), rel=1e-12)


def test_weights_do_not_change_how_many_make_a_pool():
    counts = label_counts([-1.0, 1.0], [20, 60], [60, 20])
    assert len(fit_isotonic(counts).logits) == 2
    light = LabelCounts(
        logits=counts.logits, positive=counts.positive / 8, negative=counts.negative / 8, impressions=160, positives=80
    )
    assert fit_isotonic(light) == fit_isotonic(counts)


def test_the_loss_on_other_impressions_is_below_the_uncalibrated_one_and_near_that_of_the_line():
    slopes, intercepts = (0.7, 0.6), (-0.1, 0.1)
    for counts, other in zip(
        counts_of(scored_log(5_000, slopes=slopes, intercepts=intercepts)),
        counts_of(scored_log(100_000, slopes=slopes, intercepts=intercepts, seed=2)),
        strict=True,
    ):
        line, isotonic = fit_platt(counts), fit_isotonic(counts)
        assert line is not None
        losses = [loss(other, logits) for logits in (other.logits, line.of(other.logits), isotonic.of(other.logits))]
        assert losses[2] < losses[0]
        assert losses[2] - losses[1] < 0.005


def loss(counts: LabelCounts, logits: F64) -> float:
    """Return the log loss of an impression."""
    total = counts.positive * np.logaddexp(0, -logits) + counts.negative * np.logaddexp(0, logits)
    return float(total.sum() / counts.weights.sum())


def test_pools_without_a_positive_or_a_negative_are_part_of_others():
    found = fit_isotonic(label_counts([-3.0, 0.0, 3.0], [0, 50, 100], [100, 50, 0]))
    assert found.logits == (0.0,)
    assert found.calibrated == pytest.approx((0.0,), abs=1e-9)


def test_shares_that_only_fall_give_one_knot():
    found = fit_isotonic(label_counts([-1.0, 1.0], [30, 10], [10, 30]))
    assert found.logits == (0.0,)
    assert sigmoid(found.of(np.array([-1.0, 1.0]))).sum() == pytest.approx(1.0, rel=1e-9)  # half of 80 are positive


@given(
    st.lists(
        st.tuples(st.integers(-3000, 3000), st.integers(0, 40), st.integers(0, 40)),
        min_size=1,
        max_size=40,
        unique_by=lambda each: each[0],
    )
)
def test_every_curve_rises_and_keeps_the_sum_of_labels(bins):
    bins = sorted(each for each in bins if each[1] + each[2] > 0)
    if not (sum(each[1] for each in bins) and sum(each[2] for each in bins)):
        return
    counts = label_counts([each[0] / 100 for each in bins], [each[1] for each in bins], [each[2] for each in bins])
    found = fit_isotonic(counts)  # refuses to be made if it does not rise
    assert counts.predicted_over_happened(found.of(counts.logits)) == pytest.approx(1.0, rel=1e-6)
