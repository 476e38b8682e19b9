"""What all objectives have in common."""

import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.model.objectives.config import objective_names
from esmm_dist.model.objectives.label_shares import LabelShares
from esmm_dist.schema.label_tree import LabelTree
from tests.unit.model.objectives.formulas import FUNNEL, PAIR, TREE, objective, sums

TREES = {"pair": PAIR, "funnel": FUNNEL, "tree": TREE, "one label": LabelTree.of(["click"])}
SHARES = LabelShares(of_labels=(0.3, 0.1, 0.05, 0.02), keep_negatives=0.5)


def labels_of(tree: LabelTree, impressions: int, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    return tree.reached(random.integers(0, 2, (impressions, len(tree.names)))).astype(np.float32)


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
@pytest.mark.parametrize("name", objective_names())
def test_losses_are_finite_sums_over_impressions_with_finite_gradients_at_logits_of_60(name, tree):
    found = objective(name, tree, LabelShares(of_labels=SHARES.of_labels[: len(tree.names)], keep_negatives=0.5))
    heads = len(found.head_labels)
    # every combination of -60, 0 and 60, twice: each with other labels
    outputs = np.tile(np.stack(np.meshgrid(*[[-60.0, 0.0, 60.0]] * heads), -1).reshape(-1, heads), (2, 1))
    labels = labels_of(tree, len(outputs))
    tensor = tf.constant(outputs, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        found_sums = found.loss_sums(tensor, tf.constant(labels))
        loss = tf.reduce_sum(found_sums)
    assert found_sums.shape == (len(tree.names),)
    assert np.isfinite(found_sums.numpy()).all()
    assert np.isfinite(tape.gradient(loss, tensor).numpy()).all()
    logits = found.conditional_logits(tensor).numpy()
    assert logits.shape == labels.shape
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("name", objective_names())
def test_losses_of_parts_of_a_batch_add_up_to_those_of_the_batch(name):
    found = objective(name, TREE, SHARES)
    outputs = np.random.default_rng(2).normal(size=(12, len(found.head_labels)))
    labels = labels_of(TREE, 12)
    parts = [sums(found, outputs[part], labels[part]) for part in (slice(0, 5), slice(5, 5), slice(5, 12))]
    assert not parts[1].any()  # an empty batch has no loss
    np.testing.assert_allclose(sum(parts), sums(found, outputs, labels), rtol=1e-6)


@pytest.mark.parametrize("name", objective_names())
def test_an_impression_of_weight_2_counts_as_two(name):
    found = objective(name, PAIR, LabelShares(of_labels=(0.3, 0.1)))
    outputs = np.random.default_rng(3).normal(size=(3, len(found.head_labels)))
    labels = [[0, 0], [1, 0], [1, 1]]
    twice = sums(found, outputs[[0, 1, 1, 2, 2]], np.array(labels)[[0, 1, 1, 2, 2]])
    np.testing.assert_allclose(sums(found, outputs, labels, [1, 2, 2]), twice, rtol=1e-6)
    assert not sums(found, outputs, labels, [0, 0, 0]).any()


@pytest.mark.parametrize("name", objective_names())
def test_extra_heads_belong_to_labels_with_one_before_them(name):
    found = objective(name, TREE, SHARES)
    extra = (1, 2, 3) if name in ("escm2-dr", "dcmt") else ()
    assert found.head_labels == (0, 1, 2, 3, *extra)


@pytest.mark.parametrize("name", objective_names())
def test_each_label_has_a_loss_with_a_name(name):
    assert len(set(objective(name, TREE, SHARES).loss_names)) == 4
    assert objective(name).loss_names[0] == "ctr_loss"


def test_losses_are_named_after_what_they_are_of():
    assert objective("esmm").loss_names == objective("division").loss_names == ("ctr_loss", "ctcvr_loss")
    assert objective("base").loss_names == ("ctr_loss", "cvr_loss")
    assert objective("dcmt").loss_names == ("ctr_loss", "ctcvr_and_cvr_loss")
    assert objective("unbias", TREE).loss_names == (
        "click_loss",
        "cart_given_click_loss",
        "purchase_given_cart_loss",
        "favourite_given_click_loss",
    )


@pytest.mark.parametrize("name", objective_names())
def test_the_first_label_learns_from_its_cross_entropy_alone(name):
    found = objective(name, PAIR, LabelShares(of_labels=(0.3, 0.1)))
    outputs = np.zeros((2, len(found.head_labels)))
    outputs[:, 0] = np.log(3)  # pCTR = 3/4
    np.testing.assert_allclose(sums(found, outputs, [[1, 1], [0, 0]])[0], -np.log(3 / 4) - np.log(1 / 4), rtol=1e-6)
