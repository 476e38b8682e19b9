"""What runs, tasks and their positives are called."""

from dataclasses import replace

import pytest

from esmm_dist.report.run_scores.shown_names import (
    positives_name,
    prediction_name,
    rows_name,
    run_names,
    shared_tasks,
)
from tests.support.hand_made_scores import hand_made, planted

SCORES = hand_made(*planted(200), run="runs/one")
FUNNEL = hand_made(*planted(200, labels=3), names=("click", "cart", "long_view"))


@pytest.mark.parametrize(
    ("runs", "names"),
    [
        ([("a/run", 1)], ["run"]),
        ([("a/run/", 1)], ["run"]),
        ([("a/x", 1), ("a/y", 1)], ["x", "y"]),
        ([("a/run", 1), ("b/run", 1)], ["a/run", "b/run"]),
        ([("a/run", 1), ("a/run", 2)], ["run:1", "run:2"]),
        ([("a/run", 1), ("a/run", 2), ("b/run", 1)], ["a/run:1", "a/run:2", "b/run:1"]),  # not "run:1" twice
        ([("s3://bucket/run", 7)], ["run"]),
    ],
)
def test_runs_are_named_by_as_much_as_tells_them_apart(runs, names):
    assert run_names([replace(SCORES, run=run, step=step) for run, step in runs]) == names


def test_a_long_name_is_cut_in_its_middle():
    (name,) = run_names([replace(SCORES, run="x" * 50 + "end")])
    assert len(name) <= 32
    assert name.endswith("end")


def test_predictions_of_two_labels_have_the_names_of_the_field():
    assert [prediction_name(*each) for each in SCORES.tasks.items()] == ["pCTR", "pCVR", "pCTCVR"]
    assert [positives_name(*each) for each in SCORES.tasks.items()] == ["the clicks", *["the conversions"] * 2]
    assert [rows_name(each) for each in SCORES.tasks.values()] == ["impressions", "clicks", "impressions"]


def test_longer_funnels_have_the_names_of_their_labels():
    assert list(FUNNEL.tasks) == ["click", "cart_given_click", "cart", "long_view_given_cart", "long_view"]
    last, given = FUNNEL.tasks["long_view"], FUNNEL.tasks["long_view_given_cart"]
    assert (prediction_name("long_view", last), rows_name(given)) == ("p_long_view", "carts")
    assert positives_name("long_view", last) == "those with long_view"
    assert rows_name(replace(given, given="watch")) == "impressions with watch"


def test_a_task_whose_label_is_not_known_speaks_of_its_positives():
    task = replace(SCORES.tasks["ctr"], label="", column="")
    assert positives_name("ctr", task) == "the positives of ctr"
    assert prediction_name("ctr", task) == "ctr"


def test_runs_share_the_tasks_that_all_have():
    assert shared_tasks([SCORES, FUNNEL]) == []
    assert shared_tasks([FUNNEL, FUNNEL]) == list(FUNNEL.tasks)
