"""Pictures and sentences of scores, from arrays: no model is loaded."""

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from esmm_dist.report.page.blocks import Page, PageTable, Paragraph, Section
from esmm_dist.report.page.html_page import html_of
from esmm_dist.report.run_scores.calibration_pictures import reliability_picture
from esmm_dist.report.run_scores.gain_pictures import gain_at, gain_finding, lift_picture, lift_table
from esmm_dist.report.run_scores.ranking_pictures import auc_picture, histogram_picture, median_prediction
from esmm_dist.report.run_scores.sections import score_sections
from esmm_dist.report.run_scores.segment_pictures import segment_pictures
from esmm_dist.report.run_scores.shown_names import run_names
from tests.support.hand_made_scores import hand_made, planted

LABELS, LOGITS, USERS = planted(noise=1.0)
ONE = hand_made(LABELS, LOGITS, USERS, run="runs/one")
OTHER = hand_made(*planted(noise=0.3), run="runs/other")
CTCVR = 1 / (1 + np.exp(-LOGITS[:, 0])) / (1 + np.exp(-LOGITS[:, 1]))


def test_auc_of_each_task_with_its_interval_is_that_of_scikit_learn():
    picture = auc_picture([ONE], ["one"])
    clicked = LABELS[:, 0]
    expected = {
        "ctr": roc_auc_score(LABELS[:, 0], LOGITS[:, 0]),
        "cvr": roc_auc_score(LABELS[clicked, 1], LOGITS[clicked, 1]),
        "ctcvr": roc_auc_score(LABELS[:, 1], CTCVR),
    }
    for task, auc in expected.items():
        (found,) = picture.numbers[task]
        assert found["auc"] == pytest.approx(auc)
        half = 1.959964 * ONE.tasks[task].metrics["auc_standard_error"]
        assert (found["low"], found["high"]) == pytest.approx((auc - half, auc + half))
    shown = [f"{auc:.4f} for {task}" for task, auc in expected.items()]
    assert picture.title == f"AUC is {shown[0]}, {shown[1]} and {shown[2]}."


def test_the_title_of_several_runs_names_the_best():
    names = ["one", "other"]
    assert auc_picture([ONE, OTHER], names).title.startswith("other has the highest AUC of ctcvr, 0.")
    assert auc_picture([OTHER, ONE], names[::-1]).title.startswith("other has the highest AUC of ctcvr, 0.")


def test_an_interval_ends_at_one_and_a_task_of_one_class_has_none():
    labels = np.array([[0, 0]] * 6 + [[1, 0]] * 3)
    scores = hand_made(labels, np.array([[0.5], [0.6]] + [[-2.0]] * 4 + [[0.55], [1.0], [1.0]]) * [1, 1], np.arange(9))
    numbers = auc_picture([scores], ["a"]).numbers
    assert numbers["ctr"][0]["high"] == 1.0
    assert math.isnan(numbers["cvr"][0]["auc"])
    assert math.isnan(numbers["cvr"][0]["low"])
    (svg,) = auc_picture([scores], ["a"]).svgs()
    assert "one class only" in svg


def test_deciles_are_those_of_scikit_learns_calibration_curve():
    actual, predicted = calibration_curve(LABELS[:, 1], CTCVR, n_bins=10, strategy="quantile")
    (found,) = reliability_picture([ONE], ["one"]).numbers["ctcvr"]
    np.testing.assert_allclose([each["mean_prediction"] for each in found["deciles"]], predicted, rtol=1e-9)
    np.testing.assert_allclose([each["mean_label"] for each in found["deciles"]], actual, rtol=1e-9)
    assert found["expected_calibration_error"] == pytest.approx(np.abs(actual - predicted).mean())


def test_the_title_says_whether_more_than_noise_makes_predictions_wrong():
    high = hand_made(LABELS, LOGITS + 1.0, USERS)
    title = reliability_picture([high], ["one"]).title
    assert "where noise alone would make" in title
    assert title.endswith("% too high.")
    right = LABELS.mean(axis=0)[0]
    logit = np.log(right / (1 - right))
    same = hand_made(LABELS[:, :1], np.full((len(LABELS), 1), logit), USERS)
    assert reliability_picture([same], ["one"]).title.startswith("Predictions are as right as the labels' noise lets")


def test_the_gains_sentence_counts_the_top_tenth():
    top = np.argsort(-CTCVR)[: len(CTCVR) // 10]
    gain = LABELS[top, 1].sum() / LABELS[:, 1].sum()
    assert gain_at(ONE.tasks["ctcvr"].gain, 0.1) == pytest.approx(gain)
    assert gain_finding([ONE], ["one"]) == (f"The top 10% of impressions by pCTCVR hold {gain:.1%} of the conversions.")
    assert lift_table([ONE], ["one"]).rows[2][3] == f"{gain:.1%} ({gain * 10:.2f}×)"


def test_a_lift_is_drawn_from_ten_positives_on():
    (found,) = lift_picture([ONE], ["one"]).numbers["ctcvr"]
    first = round(found["share"][0] * len(CTCVR))
    order = np.argsort(-CTCVR)
    assert LABELS[order[:first], 1].sum() >= 10
    at_tenth = found["lift"][found["share"].index(0.1)]
    assert at_tenth == pytest.approx(LABELS[order[: len(order) // 10], 1].mean() / LABELS[:, 1].mean())


def test_the_histograms_sentence_has_the_medians_within_a_bin():
    found = ONE.tasks["ctr"].histogram
    for label, weights in ((1, found.positives), (0, found.negatives)):
        median = np.median(LOGITS[LABELS[:, 0] == label, 0])
        predicted = median_prediction(found, weights)
        assert np.log(predicted / (1 - predicted)) == pytest.approx(median, abs=found.edges[1] - found.edges[0])
    assert histogram_picture([ONE], ["one"]).title.startswith("Half of the clicks have a pCTR above 0.")


def test_segments_have_aucs_and_calibrations_of_their_impressions():
    pictures = {each.name: each for each in segment_pictures([ONE], ["one"])}
    assert list(pictures) == ["auc-by-1-part", "calibration-by-1-part"]
    (aucs,), (ratios,) = (each.numbers["ctr"] for each in pictures.values())
    keys = USERS % 3
    for name, auc, ratio in zip(aucs["segments"], aucs["auc"], ratios["calibration"], strict=True):
        among = ~np.isin(keys, [0, 1, 2]) if name == "part None" else keys == int(name[5:])
        if name == "part None":  # the least frequent key of the three
            among = ~np.isin(keys, [int(each[5:]) for each in aucs["segments"] if each != "part None"])
        assert auc == pytest.approx(roc_auc_score(LABELS[among, 0], LOGITS[among, 0]))
        predicted = 1 / (1 + np.exp(-LOGITS[among, 0]))
        assert ratio == pytest.approx(predicted.sum() / LABELS[among, 0].sum())


@pytest.mark.parametrize("many", [1, 8])
def test_a_page_of_runs_has_all_pictures_and_six_runs_at_the_most(many):
    runs = [replace(ONE, run=f"runs/{place}", step=place) for place in range(many)]
    sections = score_sections(runs)
    page = Page(title="a", subtitle="b", sections=sections)
    names = [each.name for each in page.pictures()]
    assert names[:5] == ["auc-by-task", "gain", "lift", "score-histograms", "reliability"]
    assert ("2 more runs are left out here." in sections[0].lead) == (many == 8)
    assert len(page.pictures()[0].numbers["ctr"]) == min(many, 6)


def test_a_hostile_run_and_values_are_escaped_and_cut():
    evil = "<script>alert(1)</script>\n" + "x" * 200
    segments = [{**ONE.segments[0], "title": evil, "name": evil}]
    segments[0]["segments"] = [{**each, "name": evil + str(each["id"])} for each in ONE.segments[0]["segments"]]
    scores = replace(ONE, run=evil, segments=segments)
    sections = score_sections([scores, replace(scores, step=7)])
    shown = [Section(heading="a", blocks=[each.blocks[0], *each.blocks[-1:]]) for each in sections[::2]]
    text = html_of(Page(title="a", subtitle="b", sections=shown))
    assert text.count("&lt;script&gt;") > 4
    assert "<script>alert" not in text
    assert "x" * 100 not in text


def test_without_impressions_or_a_shared_task_a_sentence_says_so():
    empty = hand_made(LABELS[:0], LOGITS[:0], USERS[:0])
    (section,) = score_sections([empty])
    assert isinstance(section.blocks[0], Paragraph)
    (section,) = score_sections([ONE, replace(OTHER, tasks={})])
    assert section.blocks == [Paragraph(text="There are no impressions to score, or the runs have no task in common.")]
    assert score_sections([]) == []


def test_three_labels_and_no_positive():
    labels, logits, users = planted(500, labels=3)
    page = Page(title="a", subtitle="b", sections=score_sections([hand_made(labels, logits, users)]))
    assert len(page.pictures()[0].numbers) == 5
    none = hand_made(np.zeros_like(labels), logits, users)
    page = Page(title="a", subtitle="b", sections=score_sections([none]))
    titles = [each.title for each in page.pictures()]
    assert titles[:4] == [
        "No task has impressions of both labels, so that there is no AUC.",
        "No impression is positive, so that there is no gain.",
        "There are too few positives to tell a lift.",
        "No task has impressions of both labels.",
    ]


def test_runs_are_named_by_what_tells_them_apart():
    assert run_names([ONE, OTHER]) == ["one", "other"]
    assert run_names([replace(ONE, run="a/run"), replace(ONE, run="b/run")]) == ["a/run", "b/run"]
    assert run_names([ONE, replace(ONE, step=7)]) == ["one:100", "one:7"]


def test_a_table_of_segments_has_a_row_a_part_and_task():
    tables = [each for each in score_sections([ONE])[2].blocks if isinstance(each, PageTable)]
    assert len(tables[0].rows) == 9
