"""Points of a run's speed: written and read back, damaged lines left out."""

import json

import pytest

from esmm_dist.storage.folder import Folder
from esmm_dist.train.run_speed import SpeedPoint, TableSize, read_speed


def point(step: int, **changes) -> SpeedPoint:
    given = {
        "at": 1_764_444_692.5,
        "step": step,
        "steps": 20,
        "impressions": 640,
        "ranks": 2,
        "seconds": 1.5,
        "input_s": 0.25,
        "pull_s": 0.125,
        "step_s": 0.75,
        "push_s": 0.0625,
        "tables": {"main": TableSize(rows=7, bytes=700)},
    }
    return SpeedPoint(**{**given, **changes})


def test_points_are_read_as_they_were_written_also_those_of_steps_made_again(tmp_path):
    points = [point(20), point(40), point(40, tables={}, ranks=1), point(60)]
    (tmp_path / "speed.jsonl").write_text("".join(json.dumps(each.to_mapping()) + "\n" for each in points))
    assert read_speed(Folder.open(tmp_path)) == points


def test_times_are_written_to_the_microsecond():
    line = point(20, seconds=0.123456789, at=1_764_444_692.123456789).to_mapping()
    assert (line["seconds"], line["at"]) == (0.123457, 1_764_444_692.123457)


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": "many"},
        {"step": -1},
        {"seconds": float("nan")},
        {"input_s": float("inf")},
        {"impressions": None},
        {"tables": []},
        {"tables": {"main": {"rows": 1}}},
        {"tables": {"main": {"rows": -1, "bytes": 1}}},
    ],
)
def test_a_line_that_is_no_point_is_left_out(tmp_path, wrong):
    lines = [point(20).to_mapping(), {**point(40).to_mapping(), **wrong}, {"step": 1}, point(60).to_mapping()]
    text = "".join(json.dumps(each) + "\n" for each in lines) + '{"at": 1, "st'
    (tmp_path / "speed.jsonl").write_text(text)
    assert read_speed(Folder.open(tmp_path)) == [point(20), point(60)]


def test_what_a_later_version_may_add_does_no_harm(tmp_path):
    (tmp_path / "speed.jsonl").write_text(json.dumps({**point(20).to_mapping(), "new": {"a": 1}}) + "\n")
    assert read_speed(Folder.open(tmp_path)) == [point(20)]


def test_a_run_of_an_earlier_version_has_no_points(tmp_path):
    assert read_speed(Folder.open(tmp_path)) == []
