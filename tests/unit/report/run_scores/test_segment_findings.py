"""What the titles of segments say: the lowest and the highest AUC, and a calibration that chance does not explain."""

import math
from dataclasses import replace
from typing import Any

import pytest

from esmm_dist.report.run_scores.segment_pictures import MOST_SEGMENTS, segment_pictures
from tests.support.hand_made_scores import hand_made, planted

SCORES = hand_made(*planted(300), run="runs/one")


def segment(name: str, auc: float, error: float, ratio: float = 1.0, ratio_error: float = 0.1) -> dict[str, Any]:
    """Return a segment with the same figures for ctr alone."""
    metrics = {
        "impressions": 1000,
        "positives": 10,
        "auc": auc,
        "auc_standard_error": error,
        "calibration": ratio,
        "calibration_standard_error": ratio_error,
    }
    return {"name": name, "id": None, "note": "", "tasks": {"ctr": metrics}}


def titles(*segments: dict[str, Any], by_values: bool = True, name: str = "brand") -> list[str]:
    table = {"name": name, "by_values": by_values, "title": "brand", "segments": list(segments)}
    return [each.title for each in segment_pictures([replace(SCORES, segments=[table])], ["one"])]


def test_the_lowest_and_the_highest_auc_are_named():
    found = titles(segment("low", 0.6, 0.01), segment("high", 0.8, 0.02), segment("middle", 0.7, 0.01))
    assert found[0] == "By brand, AUC of ctr is from 0.6000 ± 0.0100 (low) to 0.8000 ± 0.0200 (high)."


def test_an_auc_without_an_error_is_of_too_few_to_be_named():
    found = titles(segment("one positive", 0.99, math.nan), segment("a", 0.6, 0.01), segment("b", 0.7, 0.01))
    assert "one positive" not in found[0]
    assert titles(segment("one", 0.6, 0.01))[0] == "AUC of ctr is 0.6000 ± 0.0100 for brand: one."
    none = titles(segment("one", math.nan, math.nan, math.nan, math.nan))
    assert none == [
        "No task has a part of brand with impressions of both labels.",
        "Predictions are right for each value of brand, within what noise makes.",
    ]


@pytest.mark.parametrize(
    ("ratio", "others", "wrong"),
    [
        (1.3, 0, True),  # three errors from 1
        (1.3, 19, False),  # the largest of 20 is beyond 3.02 by chance in 5% of cases
        (1.31, 19, True),
        (0.6, 19, True),
        (1.15, 0, False),
    ],
)
def test_a_calibration_is_wrong_where_the_largest_of_so_many_is_not_by_chance(ratio, others, wrong):
    rest = [segment(str(number), 0.7, 0.01) for number in range(others)]
    _, title = titles(segment("odd", 0.7, 0.01, ratio), *rest)
    side = "high" if ratio > 1 else "low"
    expected = f"Predictions of ctr are too {side} where brand is odd: predicted / actual is {ratio:.3f} ± 0.100."
    assert title == (expected if wrong else "Predictions are right for each value of brand, within what noise makes.")


def test_users_and_items_have_a_picture_of_aucs_alone():
    assert len(titles(segment("known", 0.7, 0.01), by_values=False, name="users")) == 1


def test_a_kind_without_segments_has_no_picture():
    assert titles() == []


def test_of_many_values_a_picture_shows_some_and_says_so():
    many = [segment(f"value {number}", 0.7, 0.01) for number in range(MOST_SEGMENTS + 5)]
    table = {"name": "brand", "by_values": True, "title": "brand", "segments": many}
    pictures = segment_pictures([replace(SCORES, segments=[table])], ["one"])
    assert len(pictures[0].numbers["ctr"][0]["segments"]) == MOST_SEGMENTS
    assert pictures[0].how_to_read.endswith("5 more rows are in the table.")


def test_a_value_that_another_run_has_not_seen_has_no_point_there():
    tables = [
        {"name": "brand", "by_values": True, "title": "brand", "segments": [segment(name, 0.7, 0.01) for name in names]}
        for names in ("ab", "a")
    ]
    runs = [replace(SCORES, segments=[each]) for each in tables]
    picture = segment_pictures(runs, ["one", "two"])[0]
    assert picture.title.startswith("one: By brand, AUC of ctr is from")
    first, second = picture.numbers["ctr"]
    assert first["auc"] == [0.7, 0.7]
    assert second["auc"][0] == 0.7
    assert math.isnan(second["auc"][1])


def test_names_of_pictures_are_plain_and_apart_whatever_the_field_is_called():
    segments = [segment("a", 0.7, 0.01)]
    tables = [
        {"name": name, "by_values": True, "title": name, "segments": segments} for name in ("<b>Ä 1", "<b>Ä 1", "☃")
    ]
    pictures = segment_pictures([replace(SCORES, segments=tables)], ["one"])
    assert [each.name for each in pictures if each.name.startswith("auc")] == [
        "auc-by-1-b-1",
        "auc-by-2-b-1",
        "auc-by-3-field",
    ]
