"""Exact AUC and DeLong's errors, against pairs counted by hand, scikit-learn, and simulation."""

import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from esmm_dist.errors import InputDataError, NumericalError
from esmm_dist.model.metrics import auc_standard_error, exact_auc, paired_auc_difference


def pairs_auc(scores, labels):
    """The definition: wins plus half the ties over all pairs."""
    pairs = itertools.product(scores[labels == 1], scores[labels == 0])
    wins = [1.0 if x > y else 0.5 if x == y else 0.0 for x, y in pairs]
    return sum(wins) / len(wins)


def delong_by_definition(a, b, labels):
    """Var(AUC a - AUC b) from the m x n matrix of comparisons, DeLong 1988 equations 4-6."""

    def structural_components(s):
        x, y = s[labels == 1][:, None], s[labels == 0][None, :]
        psi = (x > y) + 0.5 * (x == y)
        return psi.mean(axis=1), psi.mean(axis=0)

    (va, wa), (vb, wb) = structural_components(a), structural_components(b)
    return np.var(va - vb, ddof=1) / va.size + np.var(wa - wb, ddof=1) / wa.size


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], 1.0),
        ([0.4, 0.3, 0.2, 0.1], [0, 0, 1, 1], 0.0),
        ([0.5, 0.5, 0.5], [0, 1, 1], 0.5),  # nothing but ties
        ([1.0, 2.0, 2.0, 3.0], [0, 1, 0, 1], (1 + 0.5 + 2) / 4),  # one tie across the classes
        ([-math.inf, 0.0, math.inf], [0, 1, 0], 0.5),  # infinite scores have a rank
    ],
)
def test_auc_counts_pairs_and_half_the_ties(scores, labels, expected):
    assert exact_auc(scores, labels) == expected


@pytest.mark.parametrize("levels", [3, 50, 10**6])  # many ties, some, almost none
def test_auc_equals_scikit_learn_and_the_definition(levels):
    rng = np.random.default_rng(levels)
    labels = (rng.random(400) < 0.2).astype(np.int8)
    scores = rng.integers(0, levels, 400) / levels + 0.2 * labels
    assert exact_auc(scores, labels) == pytest.approx(pairs_auc(scores, labels), abs=1e-12)
    assert exact_auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize("labels", [[], [1, 1], [0, 0, 0]])
def test_auc_of_one_class_is_nan(labels):
    assert math.isnan(exact_auc(np.zeros(len(labels)), labels))


def test_auc_of_float32_log_probabilities_tells_neighbours_near_1e_7_apart():
    logs = np.float32(math.log(1e-7)) + np.arange(4, dtype=np.float32) * np.float32(2e-6)
    assert exact_auc(logs, [0, 0, 1, 1]) == 1.0


@pytest.mark.parametrize("levels", [4, 10**6])
def test_standard_error_equals_delongs_definition(levels):
    rng = np.random.default_rng(7)
    labels = (rng.random(300) < 0.3).astype(np.int8)
    scores = rng.integers(0, levels, 300) / levels + 0.3 * labels
    expected = math.sqrt(delong_by_definition(scores, np.zeros(300), labels))
    assert auc_standard_error(scores, labels) == pytest.approx(expected, rel=1e-9)


def test_standard_error_is_the_spread_of_aucs_over_repeated_samples():
    rng = np.random.default_rng(3)
    labels = np.repeat([1, 0], [100, 300])
    samples = [rng.normal(labels * 1.0) for _ in range(400)]
    spread = np.std([exact_auc(s, labels) for s in samples])
    mean_error = np.mean([auc_standard_error(s, labels) for s in samples])
    # the spread of 400 draws is itself known to 1 / sqrt(800) = 3.5%; three times that
    assert mean_error == pytest.approx(spread, rel=0.11)


@pytest.mark.parametrize("labels", [[], [1, 0, 0], [1, 1, 0]])
def test_standard_error_with_fewer_than_two_of_a_class_is_nan(labels):
    scores = np.arange(len(labels))
    assert math.isnan(auc_standard_error(scores, labels))
    assert all(math.isnan(x) for x in paired_auc_difference(scores, scores, labels))


def test_paired_difference_and_its_error_equal_delongs_definition():
    rng = np.random.default_rng(11)
    labels = (rng.random(300) < 0.3).astype(np.int8)
    a = rng.normal(labels)
    b = np.round(a + rng.normal(size=300), 1)  # correlated with a, and tied
    difference, error = paired_auc_difference(a, b, labels)
    assert difference == pytest.approx(pairs_auc(a, labels) - pairs_auc(b, labels), abs=1e-12)
    assert error == pytest.approx(math.sqrt(delong_by_definition(a, b, labels)), rel=1e-9)


def test_paired_difference_of_equal_rankings_is_zero_with_no_error():
    scores, labels = np.array([1.0, 3.0, 2.0, 5.0]), [0, 1, 1, 0]
    assert paired_auc_difference(scores, np.exp(scores), labels) == (0.0, 0.0)


def test_nan_score_is_refused_with_its_place():
    with pytest.raises(NumericalError, match=r"1 of 3 scores are NaN \(the first at \[1\]\).*smaller learning rate"):
        exact_auc([0.1, math.nan, 0.3], [0, 1, 0])


def test_label_that_is_neither_0_nor_1_is_refused_with_its_place():
    with pytest.raises(InputDataError, match=r"Label at \[2\] is 2, neither 0 nor 1"):
        auc_standard_error([0.1, 0.2, 0.3], [0, 1, 2])


def test_scores_of_another_length_than_the_labels_are_refused():
    with pytest.raises(InputDataError, match=r"Scores have shape \[2\] but labels \[3\]"):
        paired_auc_difference([0.1, 0.2], [0.1, 0.2, 0.3], [0, 1, 0])
