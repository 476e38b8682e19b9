"""AUC by user and with weights, against pairs counted by hand and impressions that stand twice."""

import math

import numpy as np
import pytest

from esmm_dist.errors import InputDataError
from esmm_dist.input.users import NO_USER
from esmm_dist.model.metrics import (
    auc_standard_error,
    calibration,
    exact_auc,
    gauc,
    log_loss,
    to_mapping,
)
from esmm_dist.model.metrics.label_tree_metrics import evaluate_scores
from esmm_dist.schema.label_tree import LabelTree

CHAIN = LabelTree.of(("click", "conversion"))


def test_gauc_is_the_mean_of_the_users_aucs_by_their_impressions():
    users = np.array([7, 7, 7, 3, 3, 3, 3, 9, 9])
    labels = [1, 0, 0, 1, 0, 1, 0, 1, 1]
    scores = [0.5, 0.1, 0.9, 0.2, 0.2, 0.8, 0.1, 0.3, 0.4]
    # user 7: 1 of 2 pairs right. User 3: positives .2, .8, negatives .2, .1: (.5 + 1 + 1 + 1) / 4. User 9: one class.
    found = gauc(scores, labels, users)
    assert found.value == (3 * 0.5 + 4 * (3.5 / 4)) / 7
    assert (found.users, found.one_class_users) == (2, 1)


def test_a_score_that_only_knows_who_clicks_often_has_a_gauc_of_one_half():
    users = np.repeat([1, 2], 10)
    labels = np.array([1] * 9 + [0] + [1] + [0] * 9)
    scores = np.where(users == 1, 0.9, 0.1)
    assert exact_auc(scores, labels) == 0.9
    assert gauc(scores, labels, users).value == 0.5


def test_impressions_of_no_known_user_are_left_out():
    users = np.array([5, 5, NO_USER, NO_USER])
    found = gauc([0.9, 0.1, 0.1, 0.9], [1, 0, 1, 0], users)
    assert (found.value, found.users, found.one_class_users) == (1.0, 1, 0)


@pytest.mark.parametrize("labels", [[], [1, 1], [0, 0]])
def test_gauc_without_a_user_of_both_classes_is_nan(labels):
    found = gauc(np.zeros(len(labels)), labels, np.zeros(len(labels), np.int64))
    assert math.isnan(found.value)
    assert found.users == 0


def test_gauc_equals_the_aucs_of_each_user_alone():
    rng = np.random.default_rng(1)
    users, labels = rng.integers(0, 40, 1000), (rng.random(1000) < 0.3).astype(int)
    scores = rng.integers(0, 30, 1000) / 30 + 0.2 * labels  # with ties
    total, weight = 0.0, 0
    for user in range(40):
        auc = exact_auc(scores[users == user], labels[users == user])
        total, weight = total + auc * (users == user).sum(), weight + (users == user).sum()
    assert gauc(scores, labels, users).value == pytest.approx(total / weight, rel=1e-12)


def weighted_case(seed=2, n=300):
    rng = np.random.default_rng(seed)
    p = rng.integers(1, 20, (n, 2)) / 21
    labels = (rng.random((n, 2)) < p).astype(np.int8)
    labels[:, 1] *= labels[:, 0]
    return labels, p, rng.integers(0, 25, n), rng.integers(0, 4, n)


def test_weight_of_k_is_the_impression_k_times_in_every_metric():
    labels, p, users, weights = weighted_case()
    times = np.repeat(np.arange(len(weights)), weights)
    weighted = evaluate_scores(labels, p, CHAIN, users=users, weights=weights)
    repeated = evaluate_scores(labels[times], p[times], CHAIN, users=users[times])
    for task, expected in repeated.items():
        for name in ("auc", "log_loss", "calibration", "gauc", "gauc_users"):
            assert getattr(weighted[task], name) == pytest.approx(getattr(expected, name), rel=1e-12), (task, name)


def test_weights_of_one_change_nothing_to_the_last_bit():
    labels, p, users, _ = weighted_case()
    without = evaluate_scores(labels, p, CHAIN, users=users)
    assert to_mapping(evaluate_scores(labels, p, CHAIN, users=users, weights=np.ones(300))) == (to_mapping(without))
    ones = np.ones(300)
    assert exact_auc(p[:, 0], labels[:, 0], ones) == without["ctr"].auc  # the weighted sums themselves are exact


def test_weighted_figures_by_hand():
    scores, labels, weights = [0.8, 0.5, 0.5, 0.2], [1, 0, 1, 0], [2.0, 1.0, 0.5, 3.0]
    # positives .8 (2) and .5 (.5), negatives .5 (1) and .2 (3): 2·(1 + 3) + .5·(.5·1 + 3)
    assert exact_auc(scores, labels, weights) == (2 * 4 + 0.5 * 3.5) / (2.5 * 4)
    assert calibration(scores, labels, weights) == pytest.approx((1.6 + 0.5 + 0.25 + 0.6) / 2.5)
    nats = 2 * math.log(0.8) + math.log(0.5) + 0.5 * math.log(0.5) + 3 * math.log(0.8)
    assert log_loss(np.log(scores), labels, weights) == pytest.approx(-nats / 6.5)


def test_standard_error_with_equal_weights_is_that_without_and_zero_weights_do_not_count():
    labels, p, _, _ = weighted_case()
    expected = auc_standard_error(p[:, 0], labels[:, 0])
    assert auc_standard_error(p[:, 0], labels[:, 0], np.full(300, 2.5)) == pytest.approx(expected, rel=1e-9)
    some = np.arange(300) < 200
    expected = auc_standard_error(p[some, 0], labels[some, 0])
    assert auc_standard_error(p[:, 0], labels[:, 0], some.astype(float)) == pytest.approx(expected, rel=1e-9)


def test_standard_error_with_weights_is_the_spread_of_weighted_aucs():
    rng = np.random.default_rng(5)
    labels, weights = np.repeat([1, 0], [100, 300]), rng.exponential(1.0, 400)
    samples = [rng.normal(labels * 1.0) for _ in range(400)]
    spread = np.std([exact_auc(s, labels, weights) for s in samples])
    mean_error = np.mean([auc_standard_error(s, labels, weights) for s in samples])
    assert mean_error == pytest.approx(spread, rel=0.11)  # as in test_auc


def test_zero_weights_alone_have_no_metric():
    labels, p, users, _ = weighted_case()
    task = evaluate_scores(labels, p, CHAIN, users=users, weights=np.zeros(300))["ctr"]
    assert all(math.isnan(x) for x in (task.auc, task.auc_standard_error, task.log_loss, task.calibration, task.gauc))


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ([1.0, -1.0], "Weight at 1 is -1.0"),
        ([math.nan, 1.0], "Weight at 0 is nan"),
        ([1.0], r"shape \[1\] but labels \[2\]"),
    ],
)
def test_weight_that_is_no_weight_is_refused(weights, told):
    with pytest.raises(InputDataError, match=told):
        exact_auc([0.1, 0.2], [0, 1], weights)
