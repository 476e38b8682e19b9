"""base, oversampling and unbias by hand."""

import numpy as np
import pytest

from esmm_dist.model.objectives.label_shares import LabelShares
from tests.unit.model.objectives.formulas import TREE, conditional, gradients, logit, objective, sums

SHARES = LabelShares(of_labels=(1 / 4, 1 / 20))
"""A quarter is clicked; of these, a fifth converts."""
OUTPUTS = [[logit(1 / 5), logit(3 / 4)]] * 3
LABELS = [[0, 0], [1, 0], [1, 1]]


def test_base_learns_a_conversion_from_clicks_alone_as_fast_as_by_itself():
    # clicks are a quarter of the impressions: each counts four times in a mean over all
    found = objective("base", shares=SHARES)
    expected = [-np.log(4 / 5) - 2 * np.log(1 / 5), 4 * (-np.log(1 / 4) - np.log(3 / 4))]
    np.testing.assert_allclose(sums(found, OUTPUTS, LABELS), expected, rtol=1e-6)
    gradient = gradients(found, OUTPUTS, LABELS, label=1)
    np.testing.assert_allclose(gradient[:, 1], [0, 4 * 3 / 4, -4 * 1 / 4], rtol=1e-6)  # p - y of each click
    assert not gradient[:, 0].any()


def test_the_share_is_that_of_the_label_before():
    shares = LabelShares(of_labels=(1 / 2, 1 / 4, 1 / 8, 1 / 16))
    found = sums(objective("base", TREE, shares), [[0.0] * 4], [[1, 1, 1, 1]])
    np.testing.assert_allclose(found, np.log(2) * np.array([1, 2, 4, 2]), rtol=1e-6)  # favourite: after click


def test_a_log_without_a_click_has_no_loss_of_conversions():
    found = sums(objective("base", shares=LabelShares(of_labels=(0.0, 0.0))), OUTPUTS[:1], LABELS[:1])
    assert found[1] == 0


def test_oversampling_counts_conversions_k_times_in_sums_and_in_the_mean():
    # 1/4 of clicks and 1/20 converted, three times: 1/4 + 2/20 = 7/20 of the impressions are copies of clicks
    found = objective("oversampling", shares=SHARES, oversampling_factor=3.0)
    expected = 20 / 7 * (-np.log(1 / 4) - 3 * np.log(3 / 4))
    np.testing.assert_allclose(sums(found, OUTPUTS, LABELS)[1], expected, rtol=1e-6)


def test_what_oversampling_learns_is_corrected_in_its_predictions():
    # odds 3 of k = 3 copies are odds 1 of the log; the click is as it was learned
    found = objective("oversampling", shares=SHARES, oversampling_factor=3.0)
    np.testing.assert_allclose(conditional(found, OUTPUTS[:1]), [[1 / 5, 1 / 2]], rtol=1e-6)


def test_oversampling_by_1_is_base():
    found = objective("oversampling", shares=SHARES, oversampling_factor=1.0)
    np.testing.assert_array_equal(sums(found, OUTPUTS, LABELS), sums(objective("base", shares=SHARES), OUTPUTS, LABELS))


def test_unbias_counts_a_click_by_the_inverse_of_its_propensity():
    # pCTR 1/5: five times, whatever the share of clicks is
    found = objective("unbias", shares=SHARES)
    np.testing.assert_allclose(sums(found, OUTPUTS, LABELS)[1], 5 * (-np.log(1 / 4) - np.log(3 / 4)), rtol=1e-6)
    gradient = gradients(found, OUTPUTS, LABELS, label=1)
    np.testing.assert_allclose(gradient[:, 1], [0, 5 * 3 / 4, -5 * 1 / 4], rtol=1e-6)
    assert not gradient[:, 0].any()  # the propensity is no way to a smaller loss


def test_unbias_is_the_expectation_of_accepting_clicks_at_random():
    random = np.random.default_rng(1)
    pctr, pcvr = np.array([0.5, 0.1]), np.array([0.8, 0.3])  # the clicks of two kinds of impressions
    clicks = random.integers(0, 2, 200_000)
    accepted = random.uniform(size=len(clicks)) < 0.1 / pctr[clicks]
    drawn = -np.log(pcvr[clicks[accepted]]).sum() / 0.1
    outputs = np.stack([np.log(pctr / (1 - pctr)), np.log(pcvr / (1 - pcvr))], axis=1)
    kinds = np.array([sums(objective("unbias"), outputs[[kind]], [[1, 1]])[1] for kind in (0, 1)])
    np.testing.assert_allclose(kinds[clicks].sum(), drawn, rtol=0.02)


@pytest.mark.parametrize(("floor", "weight"), [(0.01, 5.0), (0.5, 2.0)])
def test_unbias_divides_by_no_less_than_the_floor(floor, weight):
    found = objective("unbias", propensity_floor=floor)
    np.testing.assert_allclose(sums(found, OUTPUTS[:1], [[1, 1]])[1], -weight * np.log(3 / 4), rtol=1e-6)


def test_the_propensity_of_a_deeper_label_is_the_product_along_its_path():
    outputs = [[logit(1 / 2), logit(1 / 4), 0.0, 0.0]]
    found = sums(objective("unbias", TREE), outputs, [[1, 1, 1, 1]])
    np.testing.assert_allclose(found[1:], [2 * np.log(4), 8 * np.log(2), 2 * np.log(2)], rtol=1e-6)
