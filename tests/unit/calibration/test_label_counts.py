"""Impressions are counted by bin of their logits: the same whatever their order, batches and ranks."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from esmm_dist.calibration.label_counts import LabelCounts, LabelTreeCounts, sigmoid
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.schema.label_tree import LabelTree
from tests.support.label_trees import drawn_labels
from tests.support.thread_ranks import on_thread_ranks
from tests.unit.calibration.scored_logs import CHAIN, ScoredLog, counts_of, scored_log

LOG = scored_log(5_000, slopes=(1.0, 1.0), intercepts=(0.0, 0.0))
WEIGHTS = np.random.default_rng(5).exponential(1.0, 5_000).astype(np.float32)


def assert_same(found: list[LabelCounts], expected: list[LabelCounts]) -> None:
    for each, other in zip(found, expected, strict=True):
        assert (each.impressions, each.positives) == (other.impressions, other.positives)
        for name in ("logits", "positive", "negative"):
            np.testing.assert_array_equal(getattr(each, name), getattr(other, name))


def test_a_later_label_counts_the_impressions_whose_earlier_labels_are_1():
    labels = np.array([[0, 0], [1, 0], [1, 1], [1, 1]])
    logits = np.array([[-3.0, 9.0], [0.5, -1.0], [0.5, 2.0], [4.0, 2.0]])
    click, conversion = counts_of(ScoredLog(labels, logits))
    assert (click.impressions, click.positives) == (4, 3)
    np.testing.assert_array_equal(click.logits, [-3.0, 0.5, 4.0])
    np.testing.assert_array_equal(click.positive, [0, 2, 1])
    np.testing.assert_array_equal(click.negative, [1, 0, 0])
    assert (conversion.impressions, conversion.positives) == (3, 2)
    np.testing.assert_array_equal(conversion.logits, [-1.0, 2.0])
    np.testing.assert_array_equal(conversion.positive, [0, 2])


def test_weights_count_and_a_weight_of_0_does_not():
    labels, logits = np.array([[1], [0], [0]]), np.array([[0.001], [0.003], [5.0]])  # the first two share a bin
    counts = LabelTreeCounts(LabelTree.of(("click",)))
    counts.add(labels, logits, np.array([3.0, 1.0, 0.0]))
    (found,) = counts.of_all_ranks(SoloWorld())
    np.testing.assert_allclose(found.logits, [0.0015], rtol=1e-15)  # (3 * 0.001 + 0.003) / 4
    assert (found.positive.tolist(), found.negative.tolist()) == ([3.0], [1.0])
    assert (found.impressions, found.positives) == (3, 1)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_counts_depend_neither_on_batches_nor_their_order_nor_the_number_of_ranks(size, weights):
    def of_rank(world):
        counts = LabelTreeCounts(CHAIN)
        for batch in np.array_split(np.random.default_rng(size).permutation(5_000), 7 * size)[world.rank :: size]:
            counts.add(LOG.labels[batch], LOG.logits[batch], None if weights is None else weights[batch])
        return counts.of_all_ranks(world)

    for found in on_thread_ranks(of_rank, size=size):
        assert_same(found, counts_of(LOG, weights))


def test_each_label_of_a_tree_counts_where_the_label_before_it_is_1():
    tree = LabelTree.of(("click", "cart", "favourite", "order"), {"favourite": "click", "order": "cart"})
    labels, logits = drawn_labels(tree, 400, seed=1), np.random.default_rng(2).normal(size=(400, 4))
    counts = LabelTreeCounts(tree)
    counts.add(labels, logits, None)
    click, cart = labels[:, 0] == 1, labels[:, 1] == 1
    found = counts.of_all_ranks(SoloWorld())
    for label, reached in enumerate([np.ones(400, np.bool_), click, click, cart]):
        alone = LabelTreeCounts(LabelTree.of(("label",)))
        alone.add(labels[reached, label, np.newaxis], logits[reached, label, np.newaxis], None)
        (expected,) = alone.of_all_ranks(SoloWorld())
        assert repr(found[label]) == repr(expected)
        assert found[label].impressions == reached.sum()


@given(
    st_numpy.arrays(np.float32, st.integers(0, 40), elements=st.floats(-40, 40, width=32)),
    st.integers(0, 2**32 - 1),
)
def test_nothing_is_lost_and_each_bin_is_narrow(logits, seed):
    draw = np.random.default_rng(seed)
    labels, weights = draw.integers(0, 2, len(logits)), draw.exponential(1.0, len(logits)).astype(np.float32)
    counts = LabelTreeCounts(LabelTree.of(("click",)))
    counts.add(labels[:, np.newaxis], logits[:, np.newaxis].astype(np.float64), weights)
    (found,) = counts.of_all_ranks(SoloWorld())
    for sums, of in ((found.positive, 1), (found.negative, 0)):
        expected = sum(map(Fraction, weights[labels == of].tolist()), Fraction(0))
        assert math.fsum(sums) == pytest.approx(float(expected), rel=1e-15)
    assert (found.impressions, found.positives) == (len(logits), labels.sum())
    assert (np.diff(found.logits) > 0).all()
    for logit in np.clip(logits, -32, 32):  # beyond the bins: at their ends
        assert np.abs(found.logits - logit).min() <= 1 / 256


def test_without_an_impression_there_is_no_bin_and_no_ratio():
    empty = ScoredLog(np.empty((0, 2), np.int64), np.empty((0, 2)))
    for counts in counts_of(empty):
        assert (len(counts.logits), counts.impressions, counts.positives) == (0, 0, 0)
        assert counts.predicted_over_happened(counts.logits) is None


def test_the_sum_of_predictions_over_bins_is_that_over_impressions():
    click, _ = counts_of(LOG)
    expected = sigmoid(LOG.logits[:, 0]).sum() / LOG.labels[:, 0].sum()
    assert click.predicted_over_happened(click.logits) == pytest.approx(expected, rel=1e-6)
