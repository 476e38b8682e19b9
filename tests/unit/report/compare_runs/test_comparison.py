"""Tests of differences, what they say, and the impressions that are compared."""

import json
import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from esmm_dist.errors import InputDataError, SchemaError
from esmm_dist.inference.scoring import LabelledBatch
from esmm_dist.report.compare_runs.comparison import (
    DifferenceTest,
    RunComparison,
    holm,
    p_text,
    paired_differences,
    task_sentence,
)
from esmm_dist.report.compare_runs.paired_difference import NOTHING, PairedEstimate, paired_auc
from esmm_dist.report.compare_runs.sections import difference_sections
from esmm_dist.report.page.blocks import PageTable
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.run_scores.kept_scores import ScoreKeeper, aligned
from launcher.terminal.json_line import json_value
from tests.support.hand_made_scores import kept, planted

LABELS, LOGITS, USERS = planted(noise=1.0)
FIRST = kept(LABELS, LOGITS, USERS, name="first")
BETTER = kept(*planted(noise=0.2), name="better")
SAME = kept(LABELS, LOGITS + 1e-9 * planted(noise=2.0)[1], USERS, name="same")


@pytest.fixture(scope="module")
def found() -> list[RunComparison]:
    return paired_differences([FIRST, BETTER, SAME], data="data", split="test")


def estimate(difference: float, error: float, by_user: float = math.nan) -> PairedEstimate:
    return PairedEstimate(
        a=0.7 + difference, b=0.7, difference=difference, standard_error=error, standard_error_by_user=by_user
    )


def test_each_task_is_compared_among_its_impressions(found):
    better = found[0].tasks
    clicked = LABELS[:, 0]
    a, b = (-np.logaddexp(0, -each.logits[clicked, 1]) for each in (BETTER, FIRST))
    expected = paired_auc(a, b, LABELS[clicked, 1], USERS[clicked])
    cvr = better["cvr"]
    assert (cvr.impressions, cvr.positives) == (clicked.sum(), LABELS[:, 1].sum())
    assert (cvr.auc.difference, cvr.auc.standard_error) == (expected.difference, expected.standard_error)
    assert cvr.auc.standard_error_by_user == expected.standard_error_by_user
    assert better["ctcvr"].impressions == len(LABELS)
    assert better["ctr"].auc.difference > 0
    assert found[0].sentence("ctr").startswith("ctr: better ranks better, by an AUC of 0.")
    assert found[0].users == len(np.unique(USERS))


def test_interval_p_value_and_detectable_difference_by_hand():
    auc = DifferenceTest.of(estimate(0.02, 0.005, 0.01))
    assert (auc.z, auc.by_user, auc.error) == (2.0, True, 0.01)
    assert auc.p_value == pytest.approx(2 * (1 - NormalDist().cdf(2.0)))
    assert auc.p_value_independent == pytest.approx(2 * (1 - NormalDist().cdf(4.0)))
    assert (auc.low, auc.high) == pytest.approx((0.02 - 0.0196, 0.02 + 0.0196), abs=1e-6)
    power = NormalDist(auc.detectable, 0.01)
    assert 1 - power.cdf(1.959964 * 0.01) == pytest.approx(0.8, abs=1e-5)
    assert DifferenceTest.of(estimate(-0.02, 0.005)).z == -4.0


@pytest.mark.parametrize(
    ("auc", "sentence"),
    [
        (estimate(0.0123, 0.0031), "ctr: A ranks better, by an AUC of 0.0123 ± 0.0031, p < 0.001."),
        (estimate(-0.0123, 0.0031), "ctr: B ranks better, by an AUC of 0.0123 ± 0.0031, p < 0.001."),
        (
            estimate(0.001, 0.01),
            "ctr: no difference that this split could show (0.0010 ± 0.0100, p = 0.920); it could show one of 0.0280.",
        ),
        (estimate(0.0, 0.0), "ctr: both rank all pairs alike."),
        (NOTHING, "ctr: a label has fewer than two impressions, so that nothing can be compared."),
    ],
)
def test_a_sentence_says_who_is_better_or_what_could_have_been_seen(auc, sentence):
    assert task_sentence(DifferenceTest.of(auc), "ctr", "A", "B") == sentence


def test_a_model_and_itself_have_a_p_value_of_one():
    (same,) = paired_differences([FIRST, replace(FIRST, name="again")])
    for task in same.tasks.values():
        assert (task.auc.difference, task.auc.z, task.auc.p_value) == (0.0, 0.0, 1.0)
        assert (task.log_loss.difference, task.log_loss.p_value) == (0.0, 1.0)
        assert task.rank_correlation == pytest.approx(1.0)


def test_the_other_order_gives_the_other_sign():
    (ab,), (ba,) = (paired_differences(pair) for pair in ([FIRST, BETTER], [BETTER, FIRST]))
    for name, task in ab.tasks.items():
        assert task.auc.difference == -ba.tasks[name].auc.difference
        assert task.auc.p_value == ba.tasks[name].auc.p_value
        assert (task.auc.low, task.auc.high) == (-ba.tasks[name].auc.high, -ba.tasks[name].auc.low)


def test_holms_values_by_hand():
    # 0.01 of four tests: 0.04; then 0.02 of three: 0.06; 0.03 of two: 0.06, not less; 0.9 of one
    assert holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx([0.06, 0.04, 0.9, 0.06])
    assert holm([0.4, 0.4]) == pytest.approx([0.8, 0.8])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    adjusted = holm([math.nan, 0.02])
    assert math.isnan(adjusted[0])
    assert adjusted[1] == 0.02
    assert holm([]) == []


def test_p_values_are_adjusted_over_all_runs_and_tasks(found):
    raw = [task.auc.p_value for each in found for task in each.tasks.values()]
    assert [task.auc.p_adjusted for each in found for task in each.tasks.values()] == holm(raw)
    assert len(raw) == 6


def test_impressions_in_another_order_are_put_into_that_of_the_first():
    order = np.random.default_rng(0).permutation(len(LABELS))
    moved = BETTER.in_order(order)
    np.testing.assert_array_equal(aligned(FIRST, moved).logits, BETTER.logits)
    (straight,), (turned,) = (paired_differences([FIRST, each]) for each in (BETTER, moved))
    assert straight == turned


@pytest.mark.parametrize(
    "changes",
    [
        {"sample_ids": np.arange(len(LABELS)) + 1},
        {"labels": ~LABELS},
        {"users": USERS + 1},
    ],
)
def test_other_impressions_are_refused(changes):
    with pytest.raises(InputDataError, match="have not scored the same impressions"):
        paired_differences([FIRST, replace(BETTER, **changes)])
    fewer = BETTER.in_order(np.arange(10))
    with pytest.raises(InputDataError, match="4,000 and 10"):
        paired_differences([FIRST, fewer])


def test_other_labels_are_refused():
    with pytest.raises(SchemaError, match="predicts the labels click, conversion, third, first click, conversion"):
        paired_differences([FIRST, kept(*planted(labels=3), name="other")])


def test_weights_count_and_an_impression_without_weight_does_not():
    weights = np.random.default_rng(2).choice([0.0, 1.0, 2.0], len(LABELS)).astype(np.float32)
    (weighted,) = paired_differences([replace(FIRST, weights=weights), replace(BETTER, weights=weights)])
    some = weights > 0
    a, b = (-np.logaddexp(0, -each.logits[some, 0]) for each in (BETTER, FIRST))
    expected = paired_auc(a, b, LABELS[some, 0], USERS[some], weights[some].astype(float))
    assert weighted.tasks["ctr"].auc.difference == expected.difference
    assert weighted.tasks["ctr"].impressions == len(LABELS)


def test_the_report_has_both_errors_and_says_which_it_takes(found):
    lines = found[0].lines()
    assert lines[:2] == ["A: better", "B: first"]
    assert "4,000 impressions of test of data, of 200 users" in lines[2]
    text = "\n".join(lines)
    assert "± DeLong  ± by user" in text
    assert "by user: impressions of one user are not independent. Holm: adjusted for 3 tasks." in text
    (alone,) = paired_differences([replace(each, users=np.full(len(LABELS), -1)) for each in (FIRST, BETTER)])
    assert "interval and p are those of DeLong. No ± by user: fewer than two of its users have" in alone.lines()[-1]
    assert "No ± by user" not in text
    result = json.loads(json.dumps(json_value(found[0].to_mapping()), allow_nan=False))
    assert set(result["tasks"]) == set(result["sentences"]) == {"ctr", "cvr", "ctcvr"}


@pytest.mark.parametrize(("p", "text"), [(0.5, "0.500"), (0.0123, "0.012"), (3e-9, "3e-09"), (math.nan, "nan")])
def test_p_values_have_two_figures(p, text):
    assert p_text(p) == text


def test_the_section_has_a_forest_of_the_differences(found):
    (section,) = difference_sections(found)
    picture, table = section.blocks
    assert isinstance(picture, Picture)
    assert isinstance(table, PageTable)
    assert "200 independent users" in section.lead
    assert "6 tests (Holm)" in section.lead
    assert picture.title.startswith("better ranks better than first for ct")
    assert list(picture.numbers) == ["better", "same"]
    assert picture.numbers["better"]["cvr"]["difference"] == found[0].tasks["cvr"].auc.difference
    assert len(table.rows) == 6
    assert difference_sections([]) == []


def test_the_section_says_what_could_have_been_seen_and_that_nothing_can():
    (section,) = difference_sections(paired_differences([FIRST, SAME]))
    assert isinstance(section.blocks[0], Picture)
    assert section.blocks[0].title.startswith("No difference is certain: this split could show one of 0.0000")
    none = [replace(each, labels=np.zeros_like(LABELS)) for each in (FIRST, BETTER)]
    (section,) = difference_sections(paired_differences(none))
    assert isinstance(section.blocks[0], Picture)
    assert "a label is missing" in section.blocks[0].svgs()[0]


def test_of_many_impressions_those_of_some_users_are_kept_whole():
    ids = np.arange(len(LABELS))
    users = np.where(ids % 10 == 0, -1, USERS)
    batches = [
        LabelledBatch(
            sample_ids=ids[part], labels=LABELS[part].astype(int), logits=LOGITS[part], users=users[part], weights=None
        )
        for part in (slice(0, 1500), slice(1500, None))
    ]
    keeper = ScoreKeeper(most=1000)
    keeper.start(len(LABELS))
    for batch in batches:
        keeper.add(batch)
    some = keeper.kept("some", FIRST.tree)
    assert 600 < some.impressions < 1400
    assert some.share == 0.25
    for user in np.unique(some.users[some.users >= 0]):
        assert (some.users == user).sum() == (users == user).sum()
    np.testing.assert_array_equal(some.logits, LOGITS[some.sample_ids])
    whole = ScoreKeeper()
    whole.start(len(LABELS))
    for batch in batches:
        whole.add(batch)
    assert whole.kept("whole", FIRST.tree).impressions == len(LABELS)


def test_no_impression_is_kept_of_no_batch():
    keeper = ScoreKeeper()
    keeper.start(0)
    empty = keeper.kept("empty", FIRST.tree)
    (same,) = paired_differences([empty, empty])
    assert math.isnan(same.tasks["ctr"].auc.p_value)
    assert "nothing can be compared" in same.lines()[-5]
