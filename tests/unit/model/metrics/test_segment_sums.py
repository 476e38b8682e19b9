"""Segments: the most frequent keys, the others together, and impressions without a key."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.model.metrics import auc_standard_error, calibration, exact_auc, log_loss
from esmm_dist.model.metrics.label_tree_metrics import LabelTreeMetrics
from esmm_dist.model.metrics.segment_sums import NO_KEY, FrequentKeys, SegmentSums, most_frequent
from esmm_dist.schema.label_tree import LabelTree
from tests.unit.model.metrics.formulas import calibration_error


def counted(keys, most, *, cut=3):
    """Return the most frequent of keys whose counts come as two runs' would: a key twice, blocks cut anywhere."""
    halves = [np.unique(half, return_counts=True) for half in np.array_split(np.array(keys, np.int64), 2)]
    ids, counts = (np.concatenate(columns) for columns in zip(*halves, strict=True))
    order = np.argsort(ids, kind="stable")
    ids, counts = ids[order], counts[order]
    blocks = ((ids[begin : begin + cut], counts[begin : begin + cut]) for begin in range(0, len(ids) + 1, cut))
    return most_frequent(blocks, most)


def test_the_most_frequent_keys_come_first_and_of_equal_ones_the_lowest():
    assert counted([7, 5, 5, 9, 9, 3], most=2) == FrequentKeys(keys=(5, 9), others=2)
    assert counted([7, 5, 5, 9, 9, 3], most=9) == FrequentKeys(keys=(5, 9, 3, 7), others=0)
    assert counted([7, 5], most=0) == FrequentKeys(keys=(), others=2)
    assert counted([], most=3) == FrequentKeys(keys=(), others=0)


@given(st.lists(st.integers(0, 12), max_size=60), st.integers(1, 15), st.integers(1, 7))
def test_counts_do_not_depend_on_how_runs_are_cut(keys, most, cut):
    ranked = sorted(Counter(keys).items(), key=lambda each: (-each[1], each[0]))
    expected = FrequentKeys(keys=tuple(key for key, _ in ranked[:most]), others=max(len(ranked) - most, 0))
    assert counted(keys, most, cut=cut) == expected


@given(st.integers(1, 80), st.integers(0, 999), st.booleans(), st.integers(0, 4))
def test_each_segment_has_the_metrics_of_its_impressions_alone(size, seed, weighted, most):
    random = np.random.default_rng(seed)
    scores = np.sort(np.round(-random.exponential(2, size), 1))
    labels = random.random(size) < np.exp(scores)
    weights = random.choice([0, 0.25, 1, 2.5], size) if weighted else None
    if weights is not None:  # among equal scores ascending, as the sums expect
        weights = weights[np.lexsort((weights, scores))]
    keys = random.integers(-1, 6, size)
    top = tuple(random.permutation(6)[:most].tolist())
    sums = SegmentSums(FrequentKeys(keys=top, others=6 - most))
    for begin in range(0, size, 13):
        of = slice(begin, begin + 13)
        sums.add(keys[of], scores[of], labels[of], None if weights is None else weights[of])
    parts = [("key", key, keys == key) for key in top]
    parts += [("others", None, (keys != NO_KEY) & ~np.isin(keys, top)), ("none", None, keys == NO_KEY)]
    parts = [part for part in parts if part[2].any()]
    found = sums.metrics()
    assert [(each.kind, each.key) for each in found] == [(kind, key) for kind, key, _ in parts]
    assert {each.kind: each.distinct_keys for each in found}.get("others", 6 - most) == 6 - most
    for each, (_, _, part) in zip(found, parts, strict=True):
        s, y, w = scores[part], labels[part], None if weights is None else weights[part]
        assert (each.impressions, each.positives) == (part.sum(), y.sum())
        assert each.auc == pytest.approx(exact_auc(s, y, w), rel=1e-12, nan_ok=True)
        assert each.auc_standard_error == pytest.approx(auc_standard_error(s, y, w), rel=1e-9, abs=3e-8, nan_ok=True)
        assert each.log_loss == pytest.approx(log_loss(s, y, w), rel=1e-12, nan_ok=True)
        assert each.calibration == pytest.approx(calibration(np.exp(s), y, w), rel=1e-12, nan_ok=True)
        error = calibration_error(np.exp(s), y, w)
        assert each.calibration_standard_error == pytest.approx(error, rel=1e-9, abs=1e-8, nan_ok=True)


def test_a_segment_without_both_classes_has_counts_and_no_auc():
    sums = SegmentSums(FrequentKeys(keys=(4,), others=0))
    sums.add(np.array([4, 4]), np.log([0.1, 0.2]), np.zeros(2, np.bool_), None)
    (only,) = sums.metrics()
    assert (only.impressions, only.positives, math.isnan(only.auc), math.isnan(only.calibration)) == (2, 0, True, True)


def test_segments_of_a_chain_are_chosen_by_impressions_and_counted_for_each_task():
    labels = np.array([[1, 0], [0, 0], [1, 1], *[[0, 0]] * 5])
    keys = np.array([8, 8, 8, 5, *[NO_KEY] * 4])  # no key at all is more frequent, and is no key
    with LabelTreeMetrics(LabelTree.of(("click", "conversion")), scale="logit", segments=[1]) as metrics:
        metrics.add(labels, np.zeros((8, 2)), keys=[keys])
        report = metrics.report()
    counts = {
        task: [(each.kind, each.key, each.positives, each.impressions) for each in found.segments[0]]
        for task, found in report.items()
    }
    assert counts == {
        "ctr": [("key", 8, 2, 3), ("others", None, 0, 1), ("none", None, 0, 4)],
        "cvr": [("key", 8, 1, 2)],  # the other segments have no click
        "ctcvr": [("key", 8, 1, 3), ("others", None, 0, 1), ("none", None, 0, 4)],
    }
