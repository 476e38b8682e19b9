"""esmm, amt and division by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tests.unit.model.objectives.formulas import FUNNEL, PAIR, TREE, conditional, gradients, logit, objective, sums


@pytest.mark.parametrize("name", ["esmm", "amt"])
def test_esmm_is_the_cross_entropy_of_the_running_products(name):
    # pCTR = 1/2, pCVR = 3/4, pCTCVR = 3/8: a click without conversion, and an impression without a click
    outputs, labels = [[0.0, logit(3 / 4)]] * 2, [[1, 0], [0, 0]]
    expected = [2 * np.log(2.0), -2 * np.log(5 / 8)]
    np.testing.assert_allclose(sums(objective(name), outputs, labels), expected, rtol=1e-6)
    np.testing.assert_allclose(conditional(objective(name), outputs)[0], [1 / 2, 3 / 4], rtol=1e-6)


def test_an_unclicked_impression_teaches_esmm_that_it_would_not_convert():
    assert gradients(objective("esmm"), [[0.0, 0.0]], [[0, 0]], label=1)[0, 1] > 0  # a step lowers the logit


def test_a_label_off_the_chain_is_multiplied_along_its_own_path():
    # click 1/2, cart 1/2, purchase 1/2, favourite after click 3/4: P(favourite) = 3/8
    found = sums(objective("esmm", TREE), [[0.0, 0.0, 0.0, logit(3 / 4)]], [[1, 0, 0, 1]])
    np.testing.assert_allclose(found, -np.log([1 / 2, 3 / 4, 7 / 8, 3 / 8]), rtol=1e-6)


def test_division_has_a_network_for_each_product_and_predicts_their_ratio():
    # pCTR = 1/2 and pCTCVR = 1/8 of networks of their own: pCVR = 1/4
    outputs = [[0.0, logit(1 / 8)]]
    np.testing.assert_allclose(sums(objective("division"), outputs, [[1, 0]]), -np.log([1 / 2, 7 / 8]), rtol=1e-6)
    np.testing.assert_allclose(conditional(objective("division"), outputs), [[1 / 2, 1 / 4]], rtol=1e-6)
    assert (
        gradients(objective("division"), outputs, [[1, 0]], label=1)[0, 0] == 0
    )  # the networks know nothing of another


def test_division_divides_along_a_tree():
    outputs = [[logit(1 / 2), logit(1 / 4), logit(1 / 16), logit(1 / 8)]]
    np.testing.assert_allclose(
        conditional(objective("division", TREE), outputs), [[1 / 2, 1 / 2, 1 / 4, 1 / 4]], rtol=1e-5
    )


def test_a_ratio_above_1_is_clipped():
    outputs = [[logit(1 / 8), logit(1 / 2)], [0.0, 0.0]]
    np.testing.assert_allclose(conditional(objective("division"), outputs)[:, 1], 1 - 1e-6, atol=1e-7)


def test_a_ratio_of_tiny_probabilities_is_as_exact_as_one_of_large_ones():
    # e^-40 / e^-38: both round to the same distance from 1 in float32, and their ratio is e^-2
    logits = objective("division").conditional_logits(tf.constant([[-38.0, -40.0]])).numpy()
    np.testing.assert_allclose(logits[0, 1], logit(np.exp(-2)), rtol=1e-5)


@pytest.mark.parametrize("tree", [PAIR, FUNNEL])
def test_products_of_what_division_predicts_are_what_its_networks_estimate(tree):
    q = np.array([0.3, 0.06, 0.001][: len(tree.names)])
    found = conditional(objective("division", tree), np.log(q / (1 - q))[None])
    np.testing.assert_allclose(np.cumprod(found, axis=1)[0], q, rtol=1e-4)
