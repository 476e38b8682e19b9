"""Metrics of whole label trees, by hand and against scikit-learn."""

import json
import math

import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from esmm_dist.errors import InputDataError, NumericalError
from esmm_dist.model.metrics import auc_standard_error, to_mapping
from esmm_dist.model.metrics.label_tree_metrics import evaluate_scores
from esmm_dist.schema.label_tree import LabelTree

CHAIN = LabelTree.of(("click", "conversion"))


def random_chain(n=2000, seed=1):
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.95, (n, 2))
    labels = (rng.random((n, 2)) < p).astype(np.int8)
    labels[:, 1] *= labels[:, 0]
    return labels, p


def test_two_labels_give_ctr_on_impressions_cvr_on_clicks_and_ctcvr_on_impressions():
    labels, p = random_chain()
    click, conversion = labels.T
    clicked = click == 1
    product = p[:, 0] * p[:, 1]
    metrics = evaluate_scores(labels, p, CHAIN)
    assert list(metrics) == ["ctr", "cvr", "ctcvr"]
    for name, y, s in (
        ("ctr", click, p[:, 0]),
        ("cvr", conversion[clicked], p[clicked, 1]),
        ("ctcvr", conversion, product),
    ):
        task = metrics[name]
        assert task.auc == pytest.approx(roc_auc_score(y, s), abs=1e-12)
        assert task.auc_standard_error == pytest.approx(auc_standard_error(s, y), rel=1e-9)
        assert task.log_loss == pytest.approx(sklearn_log_loss(y, s), rel=1e-9)
        assert task.calibration == pytest.approx(s.sum() / y.sum(), rel=1e-9)
        assert (task.positives, task.impressions) == (y.sum(), y.size)


def test_every_scale_gives_the_same_metrics():
    labels, p = random_chain()
    users = np.arange(len(p)) % 50
    from_p = to_mapping(evaluate_scores(labels, p, CHAIN, users=users))
    from_log = to_mapping(evaluate_scores(labels, np.log(p), CHAIN, users=users, scale="log_probability"))
    from_logit = to_mapping(evaluate_scores(labels, np.log(p / (1 - p)), CHAIN, users=users, scale="logit"))
    for task, values in from_p.items():
        assert from_log[task] == pytest.approx(values, rel=1e-9)
        assert from_logit[task] == pytest.approx(values, rel=1e-9)


def test_logits_that_round_to_the_same_probability_keep_their_order():
    logits = np.array([[20.0, 18.0], [20.0, 19.0]], np.float32)  # float32 sigmoid of both is 1
    metrics = evaluate_scores([[1, 0], [1, 1]], logits, CHAIN, scale="logit")
    assert metrics["cvr"].auc == 1.0
    assert metrics["ctcvr"].auc == 1.0


def test_a_chain_of_three_has_conditional_and_whole_space_tasks_by_name():
    labels = [[1, 1, 0], [1, 1, 1], [1, 0, 0], [0, 0, 0]]
    p = np.array([[0.9, 0.8, 0.2], [0.8, 0.7, 0.9], [0.7, 0.1, 0.9], [0.1, 0.9, 0.9]])
    metrics = evaluate_scores(labels, p, LabelTree.of(("click", "cart", "order")))
    assert list(metrics) == ["click", "cart_given_click", "cart", "order_given_cart", "order"]
    assert list(metrics) == ["click", "cart_given_click", "cart", "order_given_cart", "order"]
    assert {name: (m.positives, m.impressions) for name, m in metrics.items()} == {
        "click": (3, 4),
        "cart_given_click": (2, 3),
        "cart": (2, 4),
        "order_given_cart": (1, 2),
        "order": (1, 4),
    }
    # products a b c: 0.144, 0.504, 0.063, 0.081; the second is the order
    assert metrics["order"].calibration == pytest.approx(0.144 + 0.504 + 0.063 + 0.081)
    assert metrics["order_given_cart"].auc == 1.0


def test_probability_0_ranks_last_and_is_no_warning():
    metrics = evaluate_scores([[1, 0], [0, 0]], [[0.0, 0.5], [0.5, 0.0]], CHAIN)
    assert metrics["ctr"].auc == 0.0
    assert metrics["ctr"].log_loss == pytest.approx((-math.log(1e-15) + math.log(2)) / 2)


def test_missing_classes_are_null_in_json():
    mapping = to_mapping(evaluate_scores(np.zeros((3, 2)), np.full((3, 2), 0.5), CHAIN))
    assert json.loads(json.dumps(mapping, allow_nan=False))["cvr"] == {
        "auc": None,
        "auc_standard_error": None,
        "log_loss": None,
        "calibration": None,
        "positives": 0,
        "impressions": 0,
        "gauc": None,
        "gauc_users": 0,
        "gauc_one_class_users": 0,
        "calibration_standard_error": None,
        "expected_calibration_error": None,
        "calibration_error_of_noise": None,
    }
    assert mapping["ctr"]["impressions"] == 3


@pytest.mark.parametrize(
    ("labels", "scores", "scale", "message"),
    [
        (
            [[1, 0], [0, 0]],
            [[0.5, 0.5], [1.5, 0.5]],
            "probability",
            r"Probabilities reach from 0.5 to 1.5.*scale='logit'",
        ),
        (
            [[0, 1]],
            [[0.5, 0.5]],
            "probability",
            r"Label 'conversion' is 1 where 'click', which it comes after, is 0. Set it to 0",
        ),
        (
            [[1, 0, 0]],
            [[0.5, 0.5, 0.5]],
            "logit",
            r"Labels have shape \[1, 3\].*\['click', 'conversion'\] need \[N, 2\]",
        ),
        ([[1, 0]], [[0.5]], "logit", r"Scores have shape \[1, 1\] but labels \[1, 2\]"),
        ([[1, 3]], [[0.5, 0.5]], "logit", r"Label at \[0, 1\] is 3"),
    ],
)
def test_wrong_input_is_refused(labels, scores, scale, message):
    with pytest.raises(InputDataError, match=message):
        evaluate_scores(labels, scores, CHAIN, scale=scale)


def test_nan_logit_is_refused():
    with pytest.raises(NumericalError, match=r"1 of 2 scores are NaN \(the first at \[0, 1\]\)"):
        evaluate_scores([[1, 0]], [[0.5, math.nan]], CHAIN, scale="logit")
