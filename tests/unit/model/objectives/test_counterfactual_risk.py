"""escm2-ips, escm2-dr and dcmt by hand: pCTR 1/4, pCVR 3/4, pCTCVR 3/16."""

import numpy as np
import pytest

from tests.unit.model.objectives.formulas import TREE, conditional, gradients, logit, objective, sums

CTR, CVR = logit(1 / 4), logit(3 / 4)
PRODUCT = {0: -np.log(13 / 16), 1: -np.log(3 / 16)}
"""The entire-space loss of label 1, by its value."""


def softplus(x: float) -> float:
    return float(np.log1p(np.exp(x)))


@pytest.mark.parametrize(
    ("labels", "risk"), [([0, 0], 0.0), ([1, 0], -4 * np.log(1 / 4)), ([1, 1], -4 * np.log(3 / 4))]
)
def test_ips_adds_the_cross_entropy_of_clicks_over_their_propensity(labels, risk):
    found = sums(objective("escm2-ips", risk_weight=0.5), [[CTR, CVR]], [labels])
    np.testing.assert_allclose(found[1], PRODUCT[labels[1]] + 0.5 * risk, rtol=1e-6)


@pytest.mark.parametrize("name", ["escm2-ips", "escm2-dr", "dcmt"])
def test_without_a_risk_what_is_left_is_esmm(name):
    found = objective(name, risk_weight=0.0)
    extra = [0.7] * (len(found.head_labels) - 2)
    for labels in ([0, 0], [1, 0], [1, 1]):
        expected = sums(objective("esmm"), [[CTR, CVR]], [labels])
        np.testing.assert_array_equal(sums(found, [[CTR, CVR, *extra]], [labels]), expected)


@pytest.mark.parametrize("name", ["escm2-ips", "escm2-dr", "dcmt"])
@pytest.mark.parametrize("labels", [[0, 0], [1, 0], [1, 1]])
def test_the_risk_does_not_move_the_propensity(name, labels):
    found = objective(name)
    outputs = [[CTR, CVR, *[0.7] * (len(found.head_labels) - 2)]]
    with_risk = gradients(found, outputs, [labels], label=1)[0, 0]
    np.testing.assert_array_equal(with_risk, gradients(objective("esmm"), [[CTR, CVR]], [labels], label=1)[0, 0])


def test_the_doubly_robust_risk_imputes_what_was_not_clicked():
    imputed = softplus(0.7)
    found = objective("escm2-dr", imputation_weight=0.5)
    unclicked = sums(found, [[CTR, CVR, 0.7]], [[0, 0]])
    np.testing.assert_allclose(unclicked[1], PRODUCT[0] + imputed, rtol=1e-6)
    error = -np.log(1 / 4)
    clicked = sums(found, [[CTR, CVR, 0.7]], [[1, 0]])
    risk = imputed + 4 * (error - imputed) + 0.5 * 4 * (error - imputed) ** 2
    np.testing.assert_allclose(clicked[1], PRODUCT[0] + risk, rtol=1e-6)


def test_the_imputation_learns_the_error_and_the_error_does_not_learn_the_imputation():
    outputs, labels = [[CTR, CVR, 0.7]], [[1, 0]]
    found = objective("escm2-dr")
    _, of_cvr, of_imputation = gradients(found, outputs, labels, label=1)[0]
    # d/dCVR: the entire-space loss and 4 · (p - y), nothing from the squared difference
    of_product = gradients(objective("esmm"), [[CTR, CVR]], labels, label=1)[0, 1]
    np.testing.assert_allclose(of_cvr, of_product + 4 * 3 / 4, rtol=1e-6)
    # d/dδ̂ = 1 - 4 - 2 · 4 · (δ - δ̂), times softplus' = σ(0.7): δ = 1.39 is above δ̂ = 1.10, so a step raises δ̂
    slope = 1 - 4 - 8 * (-np.log(1 / 4) - softplus(0.7))
    np.testing.assert_allclose(of_imputation, slope / (1 + np.exp(-0.7)), rtol=1e-5)


def test_the_doubly_robust_risk_is_right_in_expectation_where_either_part_is():
    pctr, pcvr, imputed = 1 / 4, 3 / 4, 0.3
    truth = -(0.6 * np.log(pcvr) + 0.4 * np.log(1 - pcvr))  # would 60% convert, the error of predicting 3/4

    def expected_risk(true_pctr: float, error: float) -> float:
        found = objective("escm2-dr", imputation_weight=0.0)
        rows = [(1 - true_pctr, [0, 0]), (true_pctr * 0.4, [1, 0]), (true_pctr * 0.6, [1, 1])]
        head = float(np.log(np.expm1(error)))  # softplus⁻¹
        return float(sum(p * (sums(found, [[CTR, CVR, head]], [y])[1] - PRODUCT[y[1]]) for p, y in rows))

    np.testing.assert_allclose(expected_risk(pctr, imputed), truth, rtol=1e-5)  # propensities are right
    np.testing.assert_allclose(expected_risk(0.1, truth), truth, rtol=1e-5)  # imputed errors are


def test_dcmt_learns_a_counterfactual_network_from_what_was_not_clicked():
    # r̂ = 3/4, r̂* = 1/5: an unclicked impression is its positive, over 1 - pCTR = 3/4; 1 - (3/4 + 1/5) = 1/20
    found = objective("dcmt", counterfactual_weight=0.5)
    outputs = [[CTR, CVR, logit(1 / 5)]]
    unclicked, clicked = (sums(found, outputs, [labels])[1] for labels in ([0, 0], [1, 1]))
    np.testing.assert_allclose(unclicked, PRODUCT[0] - 4 / 3 * np.log(1 / 5) + 0.5 / 20, rtol=1e-5)
    np.testing.assert_allclose(clicked, PRODUCT[1] - 4 * np.log(3 / 4) + 0.5 / 20, rtol=1e-5)


def test_dcmt_teaches_each_network_in_its_own_space():
    found = objective("dcmt", counterfactual_weight=0.0)
    outputs = [[CTR, CVR, logit(1 / 5)]]
    alone = gradients(objective("esmm"), [[CTR, CVR]], [[0, 0]], label=1)[0, 1]
    _, factual, counterfactual = gradients(found, outputs, [[0, 0]], label=1)[0]
    np.testing.assert_allclose([factual, counterfactual], [alone, 4 / 3 * (1 / 5 - 1)], rtol=1e-5)
    _, _, counterfactual = gradients(found, outputs, [[1, 0]], label=1)[0]
    assert counterfactual == 0


def test_the_regulariser_pulls_both_probabilities_to_a_sum_of_1():
    found = objective("dcmt", counterfactual_weight=1.0)
    outputs, labels = [[CTR, CVR, logit(1 / 5)], [CTR, CVR, logit(1 / 2)]], [[1, 1], [1, 1]]
    below, above = gradients(found, outputs, labels, label=1)[:, 2]
    np.testing.assert_allclose([below, above], [-(1 / 5) * (4 / 5), (1 / 2) * (1 / 2)], rtol=1e-5)


def test_no_weight_exceeds_the_inverse_of_the_floor():
    outputs = [[logit(0.999), CVR, logit(1 / 5)]]
    found = objective("dcmt", propensity_floor=0.1, counterfactual_weight=0.0)
    unclicked = sums(found, outputs, [[0, 0]])[1] - sums(objective("esmm"), [outputs[0][:2]], [[0, 0]])[1]
    np.testing.assert_allclose(unclicked, -10 * np.log(1 / 5), rtol=1e-5)  # and not 1,000


@pytest.mark.parametrize("name", ["escm2-ips", "escm2-dr", "dcmt"])
def test_predictions_are_those_of_the_labels_own_networks(name):
    found = objective(name, TREE)
    outputs = [[0.0, CTR, CVR, 0.0, *[5.0] * (len(found.head_labels) - 4)]]
    np.testing.assert_allclose(conditional(found, outputs), [[1 / 2, 1 / 4, 3 / 4, 1 / 2]], rtol=1e-6)


@pytest.mark.parametrize("name", ["escm2-dr", "dcmt"])
def test_an_extra_head_belongs_to_its_label(name):
    found = objective(name, TREE)
    outputs = [[0.0] * 7]
    for label in (1, 2, 3):
        moved = gradients(found, outputs, [[0, 0, 0, 0]], label=label)[0, 4:] != 0
        assert moved.tolist() == [label == 1, label == 2, label == 3]
