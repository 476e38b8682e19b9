"""What holds for the metrics of any predictions."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from esmm_dist.input.users import NO_USER
from esmm_dist.model.metrics import (
    auc_standard_error,
    calibration,
    exact_auc,
    gauc,
    log_loss,
    paired_auc_difference,
)
from esmm_dist.model.metrics.label_tree_metrics import evaluate_scores
from esmm_dist.model.metrics.summary import TaskMetrics, from_mapping, to_mapping
from esmm_dist.schema.label_tree import LabelTree
from tests.support.label_trees import label_trees

CHAIN = LabelTree.of(("click", "conversion"))


@st.composite
def predictions(draw, *, least: int = 2, most: int = 30):
    """Draw scores with ties and labels of both classes."""
    size = draw(st.integers(least, most))
    scores = np.array(draw(st.lists(st.integers(-5, 5), min_size=size, max_size=size)), np.float64)
    labels = np.array(draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)))
    assume(0 < labels.sum() < size)
    return scores, labels


def weights_for(labels: np.ndarray, *, seed: int) -> np.ndarray:
    """Return whole weights 1 to 4, so that an impression can also be repeated."""
    return np.random.default_rng(seed).integers(1, 5, len(labels))


@given(predictions())
def test_auc_is_the_share_of_pairs_in_the_right_order(data):
    scores, labels = data
    differences = scores[labels == 1][:, np.newaxis] - scores[labels == 0][np.newaxis, :]
    expected = ((differences > 0).sum() + 0.5 * (differences == 0).sum()) / differences.size
    assert exact_auc(scores, labels) == pytest.approx(expected, rel=1e-15)


@given(predictions())
def test_auc_depends_on_the_order_of_scores_alone(data):
    scores, labels = data
    assert exact_auc(np.exp(scores), labels) == exact_auc(scores, labels)
    assert exact_auc(scores.astype(np.float32) / 3, labels) == exact_auc(scores, labels)


@given(predictions())
def test_turning_the_ranking_or_the_labels_round_gives_the_rest_to_one(data):
    scores, labels = data
    auc = exact_auc(scores, labels)
    assert exact_auc(-scores, labels) == pytest.approx(1 - auc, abs=1e-15)
    assert exact_auc(scores, 1 - labels) == pytest.approx(1 - auc, abs=1e-15)
    error = auc_standard_error(scores, labels)
    assert auc_standard_error(-scores, labels) == pytest.approx(error, abs=1e-12, nan_ok=True)
    assert auc_standard_error(scores, 1 - labels) == pytest.approx(error, abs=1e-12, nan_ok=True)


@given(predictions(), st.randoms(use_true_random=False))
def test_no_metric_depends_on_the_order_of_impressions(data, random):
    scores, labels = data
    places = list(range(len(labels)))
    random.shuffle(places)
    assert exact_auc(scores[places], labels[places]) == exact_auc(scores, labels)
    log_p = -np.abs(scores)
    assert log_loss(log_p[places], labels[places]) == pytest.approx(log_loss(log_p, labels), rel=1e-12)
    users = np.arange(len(labels)) % 3
    assert gauc(scores[places], labels[places], users[places]).value == pytest.approx(
        gauc(scores, labels, users).value, abs=1e-12, nan_ok=True
    )


@given(predictions(), st.integers(0, 99))
def test_a_whole_weight_counts_as_so_many_impressions_in_auc_loss_and_calibration(data, seed):
    scores, labels = data
    weights = weights_for(labels, seed=seed)
    again, labels_again = np.repeat(scores, weights), np.repeat(labels, weights)
    assert exact_auc(scores, labels, weights) == pytest.approx(exact_auc(again, labels_again), rel=1e-12)
    log_p, log_p_again = -np.abs(scores), -np.abs(again)
    assert log_loss(log_p, labels, weights) == pytest.approx(log_loss(log_p_again, labels_again), rel=1e-12)
    p, p_again = np.exp(log_p), np.exp(log_p_again)
    assert calibration(p, labels, weights) == pytest.approx(calibration(p_again, labels_again), rel=1e-12)


@given(predictions(), st.integers(0, 99), st.sampled_from([0.25, 3.0, 1e6]))
def test_the_scale_of_weights_does_not_matter(data, seed, scale):
    scores, labels = data
    weights = weights_for(labels, seed=seed)
    for metric in (exact_auc, auc_standard_error, lambda *values: log_loss(-np.abs(values[0]), *values[1:])):
        expected = metric(scores, labels, weights)
        assert metric(scores, labels, weights * scale) == pytest.approx(expected, rel=1e-9, nan_ok=True)


@given(predictions())
def test_gauc_of_one_user_is_auc_and_of_no_known_user_is_nan(data):
    scores, labels = data
    one = gauc(scores, labels, np.full(len(labels), 7))
    assert one.value == pytest.approx(exact_auc(scores, labels))
    assert (one.users, one.one_class_users) == (1, 0)
    none = gauc(scores, labels, np.full(len(labels), NO_USER))
    assert math.isnan(none.value)
    assert (none.users, none.one_class_users) == (0, 0)


@given(predictions(), st.lists(st.floats(-9, 9), min_size=4, max_size=4))
def test_what_is_added_to_all_scores_of_a_user_does_not_change_gauc(data, shifts):
    scores, labels = data
    users = np.arange(len(labels)) % 4
    found = gauc(np.round(scores) + np.round(np.array(shifts))[users], labels, users)
    expected = gauc(scores, labels, users)
    assert found.value == pytest.approx(expected.value, abs=1e-12, nan_ok=True)
    assert (found.users, found.one_class_users) == (expected.users, expected.one_class_users)


@given(predictions(least=4), st.integers(0, 99))
def test_the_difference_of_two_rankings_changes_its_sign_when_they_are_exchanged(data, seed):
    scores, labels = data
    other = np.random.default_rng(seed).permutation(scores)
    difference, error = paired_auc_difference(scores, other, labels)
    back, same_error = paired_auc_difference(other, scores, labels)
    assert back == pytest.approx(-difference, abs=1e-12, nan_ok=True)
    assert same_error == pytest.approx(error, abs=1e-12, nan_ok=True)
    if not math.isnan(difference):
        assert difference == pytest.approx(exact_auc(scores, labels) - exact_auc(other, labels), abs=1e-12)


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=20))
def test_the_best_constant_prediction_is_the_mean_of_the_labels(others):
    labels = np.array([1, 0, 0, 1, 0])
    losses = [log_loss(np.full(5, math.log(p)), labels) for p in (0.4, *others)]
    assert losses[0] <= min(losses) + 1e-12
    assert calibration(np.full(5, 0.4), labels) == pytest.approx(1.0)


@given(label_trees())
def test_a_tree_has_two_tasks_a_label_but_one_for_the_first(tree):
    names = tree.task_names
    assert len(names) == len(set(names)) == 2 * len(tree.names) - 1
    if len(tree.names) != 2:
        assert set(tree.names) <= set(names)


finite = st.floats(0, 10, allow_nan=False)


@given(auc=finite | st.just(math.nan), loss=finite, positives=st.integers(0, 9), users=st.integers(0, 9))
def test_metrics_survive_json_but_for_infinity_which_becomes_nan(auc, loss, positives, users):
    task = TaskMetrics(
        auc=auc,
        auc_standard_error=math.inf,
        log_loss=loss,
        calibration=math.nan,
        positives=positives,
        impressions=9,
        gauc_users=users,
    )
    (back,) = from_mapping(to_mapping({"ctr": task})).values()
    assert back.auc == pytest.approx(auc, nan_ok=True)
    assert (back.log_loss, back.positives, back.gauc_users) == (loss, positives, users)
    assert math.isnan(back.auc_standard_error)
    assert math.isnan(back.calibration)


@given(st.integers(1, 40), st.integers(0, 99))
def test_cvr_counts_the_clicked_impressions_and_ctcvr_all_of_them(size, seed):
    random = np.random.default_rng(seed)
    clicks = random.integers(0, 2, size)
    labels = np.stack([clicks, clicks * random.integers(0, 2, size)], axis=1)
    metrics = evaluate_scores(labels, random.normal(size=(size, 2)), CHAIN, scale="logit")
    assert [metrics[name].impressions for name in ("ctr", "cvr", "ctcvr")] == [size, clicks.sum(), size]
    assert metrics["cvr"].positives == metrics["ctcvr"].positives == labels[:, 1].sum()
