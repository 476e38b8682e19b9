"""Runs on a page have short names that tell them apart."""

import pytest

from esmm_dist.report.run_page.gather import labels_of


@pytest.mark.parametrize(
    ("runs", "labels"),
    [
        (["runs/a"], ["a"]),
        (["runs/a/", "b"], ["a", "b"]),
        (["one/run", "two/run"], ["one/run", "two/run"]),
        (["s3://bucket/x/run?region=eu", "run:100"], ["run", "run:100"]),
        (["run", "run"], ["run (1)", "run (2)"]),
    ],
)
def test_as_many_parts_of_a_place_as_needed_are_its_name(runs, labels):
    assert labels_of(runs) == labels
