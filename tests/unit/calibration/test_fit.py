"""A chain's calibration: each label on its own impressions, or unchanged with the reason."""

import numpy as np
import pytest

from esmm_dist.arrays import F64
from esmm_dist.calibration.curves import IsotonicCurve, PlattScaling, UnchangedLogits
from esmm_dist.calibration.fit import fit_calibration
from esmm_dist.calibration.label_counts import sigmoid
from esmm_dist.calibration.logit_transform import LogitTransform
from esmm_dist.schema.label_tree import LabelTree
from tests.unit.calibration.scored_logs import CHAIN, ScoredLog, counts_of, label_counts, scored_log

LABELS = ("click", "conversion")
LOG = scored_log(60_000, slopes=(0.7, 0.6), intercepts=(-0.4, -0.3))


def ratios(log: ScoredLog, logits: F64) -> list[float]:
    """Return the sum of predictions over the sum of labels of ctr, cvr on clicks, and ctcvr."""
    p, clicked = sigmoid(logits), log.labels[:, 0] == 1
    happened = log.labels.sum(axis=0)
    return [
        float(each)
        for each in (p[:, 0].sum() / happened[0], p[clicked, 1].sum() / happened[1], p.prod(1).sum() / happened[1])
    ]


@pytest.mark.parametrize(("method", "kind"), [("platt", PlattScaling), ("isotonic", IsotonicCurve)])
def test_every_task_promises_what_happens(method, kind):
    calibration = fit_calibration(LABELS, counts_of(LOG), method, step=9, split="validation")
    assert [type(label.curve) for label in calibration.labels] == [kind, kind]
    assert [(label.impressions, label.positives) for label in calibration.labels] == [
        (60_000, LOG.labels[:, 0].sum()),
        (LOG.labels[:, 0].sum(), LOG.labels[:, 1].sum()),
    ]
    before = ratios(LOG, LOG.logits)
    after = ratios(LOG, LogitTransform.of(1.0, calibration)(LOG.logits))
    assert min(abs(each - 1) for each in before) > 0.05
    assert after == pytest.approx([1.0, 1.0, 1.0], abs=0.01)
    for place, label in enumerate(calibration.labels):
        assert (label.before, label.after) == pytest.approx((before[place], after[place]), rel=1e-4)
        assert label.problem is None


def test_each_impression_counts_with_its_weight():
    # a second log of weight 0 does not count; counted, it would move the line
    other = scored_log(60_000, slopes=(2.0, 2.0), intercepts=(2.0, -2.0), seed=2)
    both = ScoredLog(*(np.concatenate(pair) for pair in zip(LOG, other, strict=True)))
    weights = np.repeat([2.0, 0.0], 60_000)
    weighted = fit_calibration(LABELS, counts_of(both, weights), "platt", step=9, split="validation")
    alone = fit_calibration(LABELS, counts_of(LOG), "platt", step=9, split="validation")
    for label, expected in zip(weighted.labels, alone.labels, strict=True):
        assert isinstance(label.curve, PlattScaling)
        assert isinstance(expected.curve, PlattScaling)
        # the smoothed targets know twice as many impressions
        assert label.curve.slope == pytest.approx(expected.curve.slope, rel=1e-3)
        assert label.curve.intercept == pytest.approx(expected.curve.intercept, rel=1e-3)


FEW = "as there are 19 {}, and a calibration takes 20"


@pytest.mark.parametrize("method", ["platt", "isotonic"])
@pytest.mark.parametrize(
    ("positive", "negative", "problem"),
    [
        ([4, 15], [500, 300], FEW.format("positives")),
        ([400, 500], [15, 4], FEW.format("negatives")),
        ([5, 15], [500, 300], None),
    ],
)
def test_a_label_of_too_few_impressions_of_a_class_stays_as_it_is(method, positive, negative, problem):
    counts = label_counts([-1.0, 1.0], positive, negative)
    (label,) = fit_calibration(("click",), [counts], method, step=9, split="validation").labels
    assert label.problem == problem
    assert isinstance(label.curve, UnchangedLogits) == (problem is not None)
    if problem is not None:
        assert label.before == label.after


def test_a_label_whose_logits_are_upside_down_stays_as_it_is():
    counts = label_counts([-1.0, 1.0], [300, 100], [100, 300])
    calibration = fit_calibration(("click",), [counts], "platt", step=1200, split="validation")
    assert calibration.labels[0].curve == UnchangedLogits()
    assert calibration.lines(LabelTree.of(("click",))) == [
        "Calibrated by platt on validation at step 1,200:",
        "  click: 800 impressions, 400 positive; not calibrated, as impressions with higher logits are not more often "
        "positive; sum of predictions over sum of labels 1.0000, now 1.0000",
    ]


def test_the_lines_of_a_tree_name_the_label_before():
    tree = LabelTree.of(("click", "order", "favourite"), {"favourite": "click"})
    counts = [label_counts([0.0], [30], [30])] * 3
    lines = fit_calibration(tree.names, counts, "platt", step=3, split="validation").lines(tree)
    assert [line.partition(",")[0] for line in lines[1:]] == [
        "  click: 60 impressions",
        "  order: 60 impressions with click",
        "  favourite: 60 impressions with click",
    ]


def test_the_lines_say_what_was_fitted_on_what():
    first, second = label_counts([-1.0, 1.0], [100, 300], [300, 100]), label_counts([0.0], [], [])
    lines = fit_calibration(LABELS, [first, second], "platt", step=3, split="validation").lines(CHAIN)
    # smoothed: (300 + 1/402 ...) moves the line by less than what is shown
    assert lines[1].startswith("  click: 800 impressions, 400 positive; sigmoid(1.09")
    assert lines[1].endswith("; sum of predictions over sum of labels 1.0000, now 1.0000")
    assert lines[2] == (
        "  conversion: 0 impressions with click, 0 positive; not calibrated, as there are 0 positives, and a "
        "calibration takes 20; sum of predictions over sum of labels unknown, now unknown"
    )
