"""Speed, shares of time, growth of tables and events: their pictures show what the files say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.report.run_history.sections import course_sections
from esmm_dist.report.run_history.shares import newest_by_step, share_bins, time_shares
from esmm_dist.report.run_history.speed_pictures import (
    growth_picture,
    mean_speed,
    shares_picture,
    speed_of_runs_picture,
    throughput_picture,
)
from esmm_dist.report.run_history.time_axis import TimeAxis
from esmm_dist.report.run_history.time_line import event_table
from tests.support.written_run import START, events, speed
from tests.unit.report.run_history.courses import written_course

HISTORY = events(
    (0, "start", 0, {"ranks": 2}),
    (30, "checkpoint", 300, {}),
    (50, "worker_lost", 500, {"worker": "worker-1", "reason": "<script>\n"}),
    (100, "done", 1000, {}),
)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return written_course(tmp_path_factory.mktemp("run"), speed=speed(1000), history=HISTORY)


def test_speed_is_impressions_over_seconds(course):
    picture = throughput_picture(course)
    assert picture is not None
    # 20 steps of 64 impressions in 2 s
    assert picture.numbers["impressions_per_second"] == pytest.approx([640.0] * 50)
    assert mean_speed(course) == 640.0
    assert picture.title == "The run trains 640 impressions a second on 2 ranks."


def test_events_stand_in_lanes_on_the_axis_of_the_speed(course):
    picture = throughput_picture(course)
    assert picture is not None
    lanes = picture.numbers["events"]
    assert {lane: each["at"] for lane, each in lanes.items()} == {
        "start, resume": [START],
        "losses": [START + 50],
        "checkpoints": [START + 30],
        "end": [START + 100],
    }
    assert lanes["losses"]["place"] == pytest.approx([50.0])
    top, bottom = picture.figure.axes
    assert top.get_xlim() == bottom.get_xlim()


def test_shares_are_those_of_the_parts_and_the_rest_fills_them_up(course):
    picture = shares_picture(course)
    assert picture is not None
    expected = {"input": 0.2, "pull": 0.1, "step": 0.5, "push": 0.15, "rest": 0.05}
    assert picture.numbers["all"] == pytest.approx(expected)
    for part, share in expected.items():
        assert picture.numbers["shares"][part] == pytest.approx([share] * len(picture.numbers["first_step"]))
    assert (picture.numbers["first_step"][0], picture.numbers["last_step"][-1]) == (0, 1000)
    assert picture.title == "Of the training time, 50% goes into computing (forward, backward, dense weights)."


def test_parts_that_overlap_are_shares_of_their_sum(course):
    points = [each.__class__(**{**vars(each), "input_s": each.seconds}) for each in course.speed]
    shares = time_shares(points)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["rest"] == 0.0
    assert time_shares([]) == {}
    assert share_bins([]) == []


def test_of_a_step_that_was_made_again_the_newest_point_counts(tmp_path):
    again = [{**each, "seconds": 4.0, "at": each["at"] + 500} for each in speed(100)]
    course = written_course(tmp_path, speed=[*speed(200), *again])
    points = newest_by_step(course.speed)
    assert [each.step for each in points] == list(range(20, 201, 20))
    assert [each.seconds for each in points] == [4.0] * 5 + [2.0] * 5


def test_growth_is_that_of_the_tables(course):
    picture = growth_picture(course)
    assert picture is not None
    assert picture.numbers["rows"]["main"] == [1000 + 50 * number for number in range(1, 51)]
    assert picture.numbers["bytes"]["other"] == [1000 * number for number in range(1, 51)]
    # rows 4,000 at the end; at step 740, the last at or before three quarters, 1000 + 37 x 60
    growth = 4000 / (1000 + 37 * 60) - 1
    assert f"grew by {growth:.1%}" in picture.title


def test_of_many_tables_the_largest_are_shown_and_the_rest_together(tmp_path):
    lines = speed(100)
    for line in lines:
        line["tables"] = {f"t{number}": {"rows": number, "bytes": 10 * number} for number in range(10)}
    picture = growth_picture(written_course(tmp_path, speed=lines))
    assert picture is not None
    assert list(picture.numbers["rows"]) == ["t9", "t8", "t7", "t6", "t5", "5 others"]
    assert picture.numbers["rows"]["5 others"] == [0 + 1 + 2 + 3 + 4] * 5


def test_events_are_a_table_with_hostile_texts_in_one_line(course):
    table = event_table(course)
    assert table is not None
    assert [row[1] for row in table.rows] == ["start", "checkpoint", "worker_lost", "done"]
    assert table.rows[2][3] == "worker worker-1, reason <script>\\n"
    assert table.rows[0][0] == "2026-09-21 14:13:20"


def test_a_run_without_times_has_no_section_of_speed(tmp_path):
    headings = [each.heading for each in course_sections([written_course(tmp_path)])]
    assert headings == ["Learning"]


def test_of_several_runs_the_fastest_is_named(tmp_path):
    slow = written_course(tmp_path, "slow", speed=speed(200, seconds=4.0))
    fast = written_course(tmp_path, "fast", speed=speed(200))
    picture = speed_of_runs_picture([slow, fast])
    assert picture is not None
    assert picture.title == "fast is the fastest, with 640 impressions a second."
    assert picture.numbers["slow"]["impressions_per_second"] == pytest.approx([320.0] * 10)


def test_a_pause_of_hours_is_cut_out():
    axis = TimeAxis.of_moments([*range(0, 300, 10), *range(86_400, 86_700, 10)])
    assert [seconds for _, seconds in axis.cuts] == [86_400 - 290]
    assert axis.places[-1] < 12  # minutes: 290 s, 290 s and a cut
    assert axis.unit == "minutes"
    assert axis.label.endswith("pauses cut out")


def test_an_evaluation_of_a_minute_is_no_pause():
    axis = TimeAxis.of_moments([0, 10, 20, 80, 90])
    assert axis.cuts == []
    assert axis.place([0, 20, 80]) == pytest.approx([0, 20, 80])


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=30))
def test_an_axis_of_time_keeps_the_order_and_every_moment(moments):
    axis = TimeAxis.of_moments(moments)
    places = axis.place(sorted(moments))
    assert np.isfinite(places).all()
    assert (np.diff(places) >= 0).all()
    assert places[0] == 0


def test_while_the_run_stood_still_the_line_has_a_gap(tmp_path):
    # 10 points of 2 s, then a loss, and 10 more from 25 s later on
    points = [*speed(200), *speed(200, at=START + 45)]
    course = written_course(tmp_path, speed=points, history=HISTORY)
    picture = throughput_picture(course)
    assert picture is not None
    x, y = np.array(picture.figure.axes[0].get_lines()[0].get_data(), dtype=np.float64)
    (gap,) = np.flatnonzero(np.isnan(x))
    assert (x[0], x[gap - 1], x[gap + 1], x[-1]) == pytest.approx((0.0, 20.0, 45.0, 65.0))
    assert y[[0, gap - 1, gap + 1, -1]].tolist() == [640.0] * 4


def test_a_checkpoint_of_a_moment_does_not_cut_the_line(tmp_path):
    points = [*speed(1000), *speed(1000, at=START + 100.5)]
    picture = throughput_picture(written_course(tmp_path, speed=points))
    assert picture is not None
    assert np.isfinite(np.array(picture.figure.axes[0].get_lines()[0].get_data(), dtype=np.float64)).all()
