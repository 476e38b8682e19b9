"""What tasks lose, against sums over pairs and scikit-learn."""

import math

import numpy as np
import pytest
from sklearn import metrics

from esmm_dist.arrays import F64, I64
from esmm_dist.report.importance.task_scores import SampleScores, combined_error
from esmm_dist.schema.label_tree import LabelTree

FUNNEL = LabelTree.of(("view", "cart", "purchase"))


def planted(seed: int, size: int = 400) -> tuple[I64, F64]:
    """Return labels [N, 3] of a funnel, and logits that tell something about them."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(size, 3))
    labels = (random.random((size, 3)) < 1 / (1 + np.exp(-logits - 0.3))).astype(np.int64)
    return np.cumprod(labels, axis=1), logits


def tasks_by_hand(labels: I64, logits: F64) -> dict[str, tuple[I64, F64, I64]]:
    """Return labels, probabilities and places of the impressions of each task of the funnel."""
    p = 1 / (1 + np.exp(-logits))
    everything = np.arange(len(labels))
    viewed, carted = np.flatnonzero(labels[:, 0]), np.flatnonzero(labels[:, 1])
    return {
        "view": (labels[:, 0], p[:, 0], everything),
        "cart_given_view": (labels[viewed, 1], p[viewed, 1], viewed),
        "cart": (labels[:, 1], p[:, 0] * p[:, 1], everything),
        "purchase_given_cart": (labels[carted, 2], p[carted, 2], carted),
        "purchase": (labels[:, 2], p[:, 0] * p[:, 1] * p[:, 2], everything),
    }


def delong_error(labels: I64, before: F64, after: F64) -> float:
    """Return the standard error of a difference of two AUCs, pair by pair."""
    placements = []
    for scores in (before, after):
        pairs = np.sign(scores[labels == 1][:, None] - scores[labels == 0][None, :]) / 2 + 0.5
        placements.append((pairs.mean(axis=1), pairs.mean(axis=0)))
    parts = [np.var(b - a, ddof=1) / len(b) for b, a in zip(*placements, strict=True)]
    return math.sqrt(sum(parts))


def test_losses_of_a_funnel_are_those_of_scikit_learn_and_of_sums_over_pairs() -> None:
    labels, logits = planted(1)
    permuted = [
        np.where([True, False, True], logits[np.random.default_rng(s).permutation(400)], logits) for s in (1, 2)
    ]
    scores = SampleScores(FUNNEL, labels, logits, None)
    found = scores.loss(permuted)
    assert list(found) == FUNNEL.task_names
    before = tasks_by_hand(labels, logits)
    for name, (own, p, _) in before.items():
        after = [tasks_by_hand(labels, each)[name][1] for each in permuted]
        auc = metrics.roc_auc_score(own, p)
        drops = [auc - metrics.roc_auc_score(own, q) for q in after]
        errors = [delong_error(own, p, q) for q in after]
        rises = [metrics.log_loss(own, q) - metrics.log_loss(own, p) for q in after]
        assert scores.auc[name] == pytest.approx(auc, abs=1e-12)
        assert found[name].auc_drop == pytest.approx(np.mean(drops), abs=1e-12)
        expected = math.sqrt(np.mean(np.square(errors)) + np.var(drops, ddof=1) / 2)
        assert found[name].standard_error == pytest.approx(expected, rel=1e-9)
        assert found[name].log_loss_rise == pytest.approx(np.mean(rises), abs=1e-12)


def test_log_loss_is_weighted_as_the_impressions_are() -> None:
    labels, logits = planted(2)
    weights = np.random.default_rng(2).random(400).astype(np.float32)
    found = SampleScores(FUNNEL, labels, logits, weights).loss([logits[::-1], logits[::-1]])
    for name, (own, p, places) in tasks_by_hand(labels, logits).items():
        q = tasks_by_hand(labels, logits[::-1])[name][1]
        weight = weights[places].astype(np.float64)
        expected = metrics.log_loss(own, q, sample_weight=weight) - metrics.log_loss(own, p, sample_weight=weight)
        assert found[name].log_loss_rise == pytest.approx(expected, abs=1e-9)


def test_unchanged_scores_lose_nothing_for_certain() -> None:
    labels, logits = planted(3)
    for loss in SampleScores(FUNNEL, labels, logits, None).loss([logits, logits]).values():
        assert (loss.auc_drop, loss.standard_error, loss.log_loss_rise) == (0, 0, 0)


def test_task_of_one_class_is_not_a_number() -> None:
    labels, logits = planted(4)
    labels[:, 1:] = 0
    found = SampleScores(FUNNEL, labels, logits, None).loss([logits[::-1], logits[::-1]])
    assert math.isfinite(found["view"].auc_drop)
    for name in ("cart_given_view", "cart", "purchase_given_cart", "purchase"):
        assert math.isnan(found[name].auc_drop)
        assert math.isnan(found[name].standard_error)
    assert math.isnan(found["purchase_given_cart"].log_loss_rise)  # of no impression at all
    assert math.isfinite(found["cart"].log_loss_rise)


def test_error_has_a_part_of_the_impressions_and_one_of_the_permutations() -> None:
    # mean of 0.03² and 0.05² is 0.0017; drops 0.1 and 0.3 have variance 0.02, which two permutations halve
    assert combined_error([(0.1, 0.03), (0.3, 0.05)]) == pytest.approx(math.sqrt(0.0017 + 0.01))


def test_error_is_about_that_of_new_impressions_and_permutations() -> None:
    """Draw the log anew 300 times: the drops spread as their standard errors say, or a little less."""
    tree, drops, errors = LabelTree.of(("click", "conversion")), [], []
    for seed in range(300):
        random = np.random.default_rng(seed)
        logits = random.normal(size=(300, 2))
        labels = np.cumprod(random.random((300, 2)) < 1 / (1 + np.exp(-logits)), axis=1).astype(np.int64)
        permuted = [logits[random.permutation(300)] for _ in range(3)]
        loss = SampleScores(tree, labels, logits, None).loss(permuted)["ctr"]
        drops.append(loss.auc_drop)
        errors.append(loss.standard_error)
    assert 0.9 < np.mean(errors) / np.std(drops) < 1.5
