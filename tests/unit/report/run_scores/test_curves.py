"""Histograms and gain curves against numpy and pandas on all impressions at once."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from esmm_dist.arrays import Array
from esmm_dist.model.metrics.label_tree_metrics import LabelTreeMetrics
from esmm_dist.report.run_scores.curves import GAIN_SHARES, ScoreCurves
from esmm_dist.schema.label_tree import LabelTree

RANDOM = np.random.default_rng(3)
SIZE = 5000
LOGITS = RANDOM.normal(-2.5, 1.2, SIZE).round(1)  # with ties
LABELS = RANDOM.random(SIZE) < 1 / (1 + np.exp(-LOGITS))
WEIGHTS = RANDOM.choice([0.0, 0.5, 1.0, 3.0], SIZE)


def curves_of(logits, labels, weights=None, *, block: int = 700) -> ScoreCurves:
    order = np.argsort(logits, kind="stable")
    total = sum(map(Fraction, weights.tolist()), Fraction(0)) if weights is not None else Fraction(len(logits))
    curves = ScoreCurves(total)
    log_p = -np.logaddexp(0.0, -logits[order].astype(float))
    for begin in range(0, len(logits), block):
        part = order[begin : begin + block]
        curves.add(log_p[begin : begin + block], labels[part].astype(bool), None if weights is None else weights[part])
    return curves


def gain_apart(logits, labels, weights) -> Array:
    """Return the gain at ``GAIN_SHARES``: a group of one score at a time, the highest first, cut in proportion."""
    frame = pd.DataFrame({"score": logits, "all": weights, "positive": weights * labels})
    sums = frame.groupby("score").sum().iloc[::-1].cumsum()
    reached = np.interp(
        np.array(GAIN_SHARES) * weights.sum(), [0.0, *sums["all"].to_numpy()], [0.0, *sums["positive"].to_numpy()]
    )
    gain: Array = reached / (weights * labels).sum()
    return gain


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alone", "weighted"])
@pytest.mark.parametrize("block", [1, 700, SIZE])
def test_gain_is_the_share_of_positives_above_each_share_of_impressions(weights, block):
    gain = curves_of(LOGITS, LABELS, weights, block=block).gain()
    expected = gain_apart(LOGITS, LABELS, np.ones(SIZE) if weights is None else weights)
    np.testing.assert_allclose(gain.share_of_positives, expected, atol=1e-12)
    rate = LABELS.mean() if weights is None else (weights * LABELS).sum() / weights.sum()
    np.testing.assert_allclose(gain.best_share_of_positives, np.minimum(np.array(GAIN_SHARES) / rate, 1.0))


def test_gain_of_four_impressions_by_hand():
    gain = curves_of(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0, 1, 0, 1])).gain()
    at = dict(zip(gain.share_of_impressions, gain.share_of_positives, strict=True))
    assert (at[0.25], at[0.5], at[0.75], at[1.0]) == (0.5, 0.5, 1.0, 1.0)
    assert at[0.1] == pytest.approx(0.1 * 4 * 0.5)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alone", "weighted"])
def test_histogram_counts_each_label_between_the_edges(weights):
    found = curves_of(LOGITS + 0.01, LABELS, weights).histogram()  # off the edges
    edges = np.array(found.edges)
    assert 20 <= len(edges) - 1 <= 40
    np.testing.assert_allclose(np.diff(edges), edges[1] - edges[0])
    for label, counts in ((1, found.positives), (0, found.negatives)):
        inside = np.clip(LOGITS + 0.01, edges[0], np.nextafter(edges[-1], -np.inf))
        chosen = label == LABELS
        of_label = None if weights is None else weights[chosen]
        expected, _ = np.histogram(inside[chosen], bins=edges, weights=of_label)
        np.testing.assert_allclose(counts, expected)


def test_outliers_are_in_the_outer_bins():
    logits = np.concatenate([np.linspace(-3, -2, 9998), [-60.0, 40.0]])
    found = curves_of(logits, np.arange(10_000) % 2).histogram()
    assert found.edges[0] > -3.5
    assert found.edges[-1] < -1.5
    assert sum(found.positives) + sum(found.negatives) == 10_000


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_and_one_score(label):
    curves = curves_of(np.full(50, -1.0), np.full(50, label))
    found, gain = curves.histogram(), curves.gain()
    assert sum(found.positives if label else found.negatives) == 50
    assert len(found.edges) == 2
    if label:
        np.testing.assert_allclose(gain.share_of_positives, GAIN_SHARES)
    else:
        assert np.isnan(gain.share_of_positives).all()


def test_no_impression():
    curves = ScoreCurves(Fraction(0))
    assert np.isnan(curves.gain().share_of_positives).all()
    assert sum(curves.histogram().positives) == 0


def test_curves_get_what_the_metrics_sort_also_from_disk():
    tree = LabelTree.of(["click", "conversion"])
    labels = np.stack([LABELS, LABELS & (RANDOM.random(SIZE) < 0.3)], axis=1)
    logits = np.stack([LOGITS, RANDOM.normal(-1, 1, SIZE)], axis=1)
    curves = {}

    def curves_of_task(task: str, weight: Fraction) -> ScoreCurves:
        curves[task] = ScoreCurves(weight)
        return curves[task]

    with LabelTreeMetrics(tree, scale="logit", rows_in_memory=900) as metrics:
        metrics.add(labels, logits)
        found = metrics.report(curves=curves_of_task)
        assert metrics.spilled_bytes
    assert list(curves) == ["ctr", "cvr", "ctcvr"]
    log_p = -np.logaddexp(0.0, -logits)
    apart = {
        "ctr": (log_p[:, 0], labels[:, 0]),
        "cvr": (log_p[LABELS, 1], labels[LABELS, 1]),
        "ctcvr": (log_p.sum(axis=1), labels[:, 1]),
    }
    for task, (scores, of_task) in apart.items():
        gain = curves[task].gain().share_of_positives
        np.testing.assert_allclose(gain, gain_apart(scores, of_task, np.ones(len(scores))), atol=1e-12)
        assert sum(curves[task].histogram().positives) == found[task].metrics.positives
