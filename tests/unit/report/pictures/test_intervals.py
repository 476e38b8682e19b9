"""Rows of points with intervals, as a reader sees them."""

import math

import pytest

from esmm_dist.report.pictures.intervals import IntervalSeries, interval_rows, intervals_height, legend_height
from esmm_dist.report.pictures.panels import new_figure
from esmm_dist.report.pictures.style import series_style

NAN = math.nan
ONE = IntervalSeries(name="", values=[0.7, 0.6, NAN], low=[0.65, NAN, NAN], high=[0.75, NAN, NAN])
OTHER = IntervalSeries(name="other run", values=[0.5, 0.4, NAN], low=[0.45, 0.3, NAN], high=[0.55, 0.5, NAN])


def drawn(*series, **more):
    """Return the axes on which series were drawn beside three labels."""
    _, axes = new_figure()
    interval_rows(axes[0, 0], ["first", "second", "third"], series, **more)
    return axes[0, 0]


def points(axes):
    """Return the (x, y) of points by mark."""
    lines = [line for line in axes.lines if line.get_marker() not in ("None", "", None)]
    return {line.get_marker(): list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in lines}


def intervals(axes):
    """Return the (low, high, y) of the lines of intervals."""
    lines = [line for line in axes.lines if line.get_marker() in ("None", "", None) and len(line.get_xdata()) == 2]
    return [(*line.get_xdata(), line.get_ydata()[0]) for line in lines if line.get_linestyle() == "-"]


def test_a_point_and_its_interval_stand_in_the_row_of_their_label():
    axes = drawn(ONE)
    assert points(axes)["o"][:2] == [(0.7, 0.0), (0.6, 1.0)]
    assert intervals(axes) == [(0.65, 0.75, 0.0)]  # the second has none
    assert [each.get_text() for each in axes.get_yticklabels()] == ["first", "second", "third"]
    low, high = axes.get_ylim()
    assert low > high  # the first row is at the top


def test_a_row_without_a_point_says_why():
    assert [each.get_text() for each in drawn(ONE, OTHER).texts] == ["one class only"]
    assert [each.get_text() for each in drawn(ONE, note="no positive").texts] == ["no positive"]
    assert not drawn(IntervalSeries(name="", values=[1, 2, 3], low=[NAN] * 3, high=[NAN] * 3)).texts


def test_series_stand_below_one_another_in_a_row_with_marks_of_their_own():
    axes = drawn(ONE, OTHER)
    found = points(axes)
    assert list(found) == ["o", "s"]
    (_, first), (_, second) = found["o"][0], found["s"][0]
    assert -0.5 < first < 0 < second < 0.5
    assert first == pytest.approx(-second)
    assert [text.get_text() for text in axes.legend().get_texts()] == ["other run"]


def test_a_series_keeps_its_colour_where_the_first_is_left_out():
    axes = drawn(OTHER, first_place=1)
    line = next(line for line in axes.lines if line.get_marker() == "s")
    assert line.get_color() == series_style(1).colour


def test_the_baseline_is_a_dashed_line():
    axes = drawn(ONE, baseline=0.5)
    line = next(line for line in axes.lines if line.get_linestyle() == "--")
    assert list(line.get_xdata()) == [0.5, 0.5]


def test_long_labels_are_cut_and_told_apart():
    _, axes = new_figure()
    interval_rows(axes[0, 0], ["x" * 100 + "1", "x" * 100 + "2", "$a$\n"], [ONE])
    first, second, third = (each.get_text() for each in axes[0, 0].get_yticklabels())
    assert len(first) <= 34
    assert second == f"{first} (2)"
    assert third == "$a$\\n"


def test_no_row_and_no_series_draw_an_empty_panel():
    _, axes = new_figure()
    interval_rows(axes[0, 0], [], [])
    assert not axes[0, 0].texts


def test_more_rows_series_and_names_need_more_room():
    assert intervals_height(3) < intervals_height(6) < intervals_height(6, 4)
    assert intervals_height(0) == intervals_height(1)
    assert (legend_height(1), legend_height(2)) == (0.0, 0.125)
