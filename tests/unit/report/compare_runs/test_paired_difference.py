"""Paired differences against sums over all pairs, a jackknife over users, and scikit-learn."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import log_loss, roc_auc_score

from esmm_dist.input.users import NO_USER
from esmm_dist.model.metrics.auc import exact_auc, paired_auc_difference
from esmm_dist.report.compare_runs.paired_difference import NOTHING, paired_auc, paired_log_loss, rank_correlation

RANDOM = np.random.default_rng(5)
SIZE = 400
USERS = RANDOM.integers(0, 60, SIZE)
TRUTH = RANDOM.normal(-0.5, 1, SIZE) + RANDOM.normal(0, 1, 60)[USERS]
POSITIVE = RANDOM.random(SIZE) < 1 / (1 + np.exp(-TRUTH))
A = (-np.logaddexp(0, -(TRUTH + RANDOM.normal(0, 0.5, SIZE))) - 0.01).round(2)  # with ties, and below 0
B = (-np.logaddexp(0, -(TRUTH + RANDOM.normal(0, 1.5, SIZE))) - 0.01).round(2)
WEIGHTS = RANDOM.choice([0.5, 1.0, 2.0], SIZE)
ALONE = np.arange(SIZE)


def pairs(scores, positive, weights):
    """Return for each pair of a positive and a negative whether the first is above, ties by half, and its weight."""
    above = np.sign(scores[positive][:, None] - scores[~positive][None, :]) / 2 + 0.5
    return above, weights[positive][:, None] * weights[~positive][None, :]


def weighted_auc_of_all_pairs(scores, positive, weights) -> float:
    above, weight = pairs(scores, positive, weights)
    return float((above * weight).sum() / weight.sum())


def delong_from_pairs(positive, weights=None) -> float:
    """Return DeLong's standard error of AUC(A) - AUC(B) from the matrix of all pairs, by the formula's words."""
    weights = np.ones(SIZE) if weights is None else weights
    apart = pairs(A, positive, weights)[0] - pairs(B, positive, weights)[0]
    of_classes = (
        (np.average(apart, axis=1, weights=weights[~positive]), weights[positive]),
        (np.average(apart, axis=0, weights=weights[positive]), weights[~positive]),
    )
    variance = 0.0
    for values, weight in of_classes:
        share = weight / weight.sum()
        mean = (share * values).sum()
        variance += len(values) / (len(values) - 1) * (share**2 * (values - mean) ** 2).sum()
    return math.sqrt(variance)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alone", "weighted"])
def test_aucs_and_delongs_error_are_those_of_all_pairs(weights):
    found = paired_auc(A, B, POSITIVE, USERS, weights)
    given = np.ones(SIZE) if weights is None else weights
    a, b = (weighted_auc_of_all_pairs(each, POSITIVE, given) for each in (A, B))
    assert (found.a, found.b, found.difference) == pytest.approx((a, b, a - b), abs=1e-12)
    assert (a, b) == pytest.approx([roc_auc_score(POSITIVE, each, sample_weight=given) for each in (A, B)])
    assert found.standard_error == pytest.approx(delong_from_pairs(POSITIVE, weights), rel=1e-10)


def test_without_weights_it_is_paired_auc_difference():
    found = paired_auc(A, B, POSITIVE, USERS)
    assert (found.difference, found.standard_error) == pytest.approx(paired_auc_difference(A, B, POSITIVE))


def test_an_error_is_about_that_of_a_jackknife_over_impressions():
    without = [
        exact_auc(np.delete(A, i), np.delete(POSITIVE, i)) - exact_auc(np.delete(B, i), np.delete(POSITIVE, i))
        for i in range(SIZE)
    ]
    jackknife = math.sqrt((SIZE - 1) / SIZE * np.square(np.array(without) - np.mean(without)).sum())
    assert paired_auc(A, B, POSITIVE, ALONE).standard_error == pytest.approx(jackknife, rel=0.01)


def test_an_error_by_user_is_about_that_of_a_jackknife_over_users():
    without = []
    for user in np.unique(USERS):
        left = user != USERS
        without.append(exact_auc(A[left], POSITIVE[left]) - exact_auc(B[left], POSITIVE[left]))
    count = len(without)
    jackknife = math.sqrt((count - 1) / count * np.square(np.array(without) - np.mean(without)).sum())
    found = paired_auc(A, B, POSITIVE, USERS)
    assert found.standard_error_by_user == pytest.approx(jackknife, rel=0.03)
    assert abs(found.standard_error_by_user / found.standard_error - 1) > 0.05  # they are told apart


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alone", "weighted"])
def test_users_of_one_impression_each_are_independent_impressions(weights):
    found = paired_auc(A, B, POSITIVE, ALONE, weights)
    assert found.standard_error_by_user == pytest.approx(found.standard_error, rel=1e-12)
    losses = paired_log_loss(A, B, POSITIVE, ALONE, weights)
    assert losses.standard_error_by_user == pytest.approx(losses.standard_error, rel=1e-12)


def test_copies_of_each_impression_make_no_error_by_user_smaller():
    twice = [np.concatenate([each, each]) for each in (A, B, POSITIVE, ALONE)]
    once = paired_auc(A, B, POSITIVE, ALONE)
    found = paired_auc(twice[0], twice[1], twice[2], twice[3])
    assert found.difference == pytest.approx(once.difference)
    assert found.standard_error_by_user == pytest.approx(once.standard_error_by_user, rel=1e-9)
    assert found.standard_error == pytest.approx(once.standard_error / math.sqrt(2), rel=0.01)


def test_an_unknown_user_is_a_user_of_its_own_and_without_any_there_is_no_error_by_user():
    some = np.where(ALONE % 2 == 0, ALONE, NO_USER)
    found = paired_auc(A, B, POSITIVE, some)
    assert found.standard_error_by_user == pytest.approx(found.standard_error, rel=1e-12)
    none = paired_auc(A, B, POSITIVE, np.full(SIZE, NO_USER))
    assert math.isnan(none.standard_error_by_user)
    assert math.isnan(paired_log_loss(A, B, POSITIVE, np.full(SIZE, NO_USER)).standard_error_by_user)


@pytest.mark.parametrize("compare", [paired_auc, paired_log_loss])
def test_a_model_and_itself_differ_by_exactly_nothing(compare):
    found = compare(A, A.copy(), POSITIVE, USERS)
    assert (found.difference, found.standard_error, found.standard_error_by_user) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("compare", [paired_auc, paired_log_loss])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alone", "weighted"])
def test_the_other_order_gives_the_other_sign(compare, weights):
    ab, ba = (compare(*pair, POSITIVE, USERS, weights) for pair in ((A, B), (B, A)))
    assert (ab.difference, ab.standard_error, ab.standard_error_by_user) == (
        -ba.difference,
        ba.standard_error,
        ba.standard_error_by_user,
    )
    assert (ab.a, ab.b) == (ba.b, ba.a)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alone", "weighted"])
def test_log_losses_and_their_difference_are_those_of_scikit_learn(weights):
    found = paired_log_loss(A, B, POSITIVE, USERS, weights)
    expected = [log_loss(POSITIVE, np.exp(each), sample_weight=weights) for each in (A, B)]
    assert (found.a, found.b) == pytest.approx(expected)
    assert found.difference == pytest.approx(expected[0] - expected[1])


def test_the_error_of_a_log_loss_difference_by_user_is_that_of_the_sums_of_users():
    apart = np.where(POSITIVE, B - A, np.log1p(-np.exp(B)) - np.log1p(-np.exp(A)))
    found = paired_log_loss(A, B, POSITIVE, USERS)
    assert found.standard_error == pytest.approx(apart.std(ddof=1) / math.sqrt(SIZE))
    sums = np.array([(apart[user == USERS] - apart.mean()).sum() for user in np.unique(USERS)])
    expected = math.sqrt(len(sums) / (len(sums) - 1) * np.square(sums).sum()) / SIZE
    assert found.standard_error_by_user == pytest.approx(expected)


@pytest.mark.parametrize(("positives", "size"), [(0, 10), (1, 10), (9, 10), (10, 10), (0, 0)])
def test_fewer_than_two_of_a_label_compare_nothing(positives, size):
    labels = np.arange(size) < positives
    assert paired_auc(A[:size], B[:size], labels, USERS[:size]) == NOTHING or math.isnan(
        paired_auc(A[:size], B[:size], labels, USERS[:size]).difference
    )


def test_users_who_hold_all_positives_alone_give_no_error_by_user():
    found = paired_auc(A, B, POSITIVE, np.where(POSITIVE, 7, ALONE + 100))
    assert math.isnan(found.standard_error_by_user)
    assert not math.isnan(found.standard_error)


def test_rank_correlation_is_spearmans():
    assert rank_correlation(A, B) == pytest.approx(spearmanr(A, B).statistic)
    assert rank_correlation(A, A) == pytest.approx(1.0)
    assert math.isnan(rank_correlation(A, np.zeros(SIZE)))
    assert math.isnan(rank_correlation(A[:1], B[:1]))


def test_errors_by_user_cover_a_difference_of_nothing_as_often_as_they_say():
    """Two models of equal quality whose scores go with the user: by user 5% of z are beyond 1.96, DeLong has more."""
    beyond = {"by_user": 0, "delong": 0}
    random = np.random.default_rng(11)
    for _ in range(300):
        users = np.repeat(np.arange(40), 10)
        labels = random.random(400) < np.repeat(random.beta(1, 2, 40), 10)
        a, b = (np.repeat(random.normal(0, 1, 40), 10) + random.normal(0, 0.5, 400) for _ in "ab")
        found = paired_auc(a, b, labels, users)
        beyond["by_user"] += abs(found.difference) > 1.96 * found.standard_error_by_user
        beyond["delong"] += abs(found.difference) > 1.96 * found.standard_error
    assert beyond["by_user"] / 300 < 0.09
    assert beyond["delong"] / 300 > 0.15
