"""Lines with bands, marks of events, legends that hide nothing."""

import math

import numpy as np
import pytest
from matplotlib.colors import to_hex

from esmm_dist.report.pictures.lines import event_marks, legend_above, line_with_band
from esmm_dist.report.pictures.panels import new_figure
from esmm_dist.report.pictures.style import SERIES_COLOURS
from esmm_dist.report.pictures.styled import house_style


def test_a_band_is_one_error_wide_to_each_side() -> None:
    _, axes = new_figure()
    line_with_band(axes[0, 0], [0, 1, 2], [5, 6, 7], [0.5, 1, 0.25], place=1, label="CTR")
    (line,), (band,) = axes[0, 0].lines, axes[0, 0].collections
    assert line.get_ydata().tolist() == [5, 6, 7]
    assert to_hex(line.get_color()) == SERIES_COLOURS[1]
    corners = {(float(x), float(y)) for x, y in band.get_paths()[0].vertices}
    assert corners == {(0, 4.5), (0, 5.5), (1, 5), (1, 7), (2, 6.75), (2, 7.25)}


def test_a_line_without_errors_has_no_band_and_nan_is_a_gap() -> None:
    figure, axes = new_figure()
    line_with_band(axes[0, 0], [0, 1, 2], [5, math.nan, 7])
    assert list(axes[0, 0].collections) == []
    with house_style():
        figure.draw_without_rendering()


@pytest.mark.parametrize("points", [0, 1, 9, 10, 1000])
def test_a_line_has_about_ten_marks_however_long(points: int) -> None:
    _, axes = new_figure()
    for place in range(6):
        line_with_band(axes[0, 0], range(points), range(points), [1] * points, place=place, label=f"s{place}")
    for line in axes[0, 0].lines:
        start, every = line.get_markevery()
        assert start < every
        assert len(range(start, points, every)) <= 10
        assert points == 0 or len(range(start, points, every)) >= min(points, 5)


def letters(panel) -> list[tuple[float, str]]:
    return [(float(text.xy[0]), text.get_text()) for text in panel.texts]


def test_events_are_letters_that_the_legend_explains() -> None:
    _, axes = new_figure()
    panel = axes[0, 0]
    panel.plot([0, 100], [0, 10], label="AUC")
    event_marks(panel, [(90, "loss\n"), (20, "join"), (50, "join")])
    assert letters(panel) == [(20, "B"), (50, "B"), (90, "A")]
    legend_above(panel)
    assert [each.get_text() for each in panel.get_legend().get_texts()] == ["AUC", "A: loss\\n", "B: join"]
    assert [line.get_xdata()[0] for line in panel.lines[1:]] == [90, 20, 50]


def test_events_close_together_share_a_place() -> None:
    _, axes = new_figure()
    axes[0, 0].set_xlim(0, 1000)
    event_marks(axes[0, 0], [(100, "join"), (110, "loss"), (120, "join"), (200, "join")])
    assert letters(axes[0, 0]) == [(110, "AB"), (200, "A")]


def test_many_kinds_of_events_share_the_last_letter() -> None:
    _, axes = new_figure()
    axes[0, 0].set_xlim(0, 100)
    event_marks(axes[0, 0], [(10 * i, f"kind {i}") for i in range(9)])
    assert [text for _, text in letters(axes[0, 0])] == [*"ABCDEFFFF"]
    labels = axes[0, 0].get_legend_handles_labels()[1]
    assert labels == [*(f"{letter}: kind {i}" for i, letter in enumerate("ABCDE")), "F: other events"]


def test_six_kinds_are_all_named() -> None:
    _, axes = new_figure()
    event_marks(axes[0, 0], [(10 * i, f"kind {i}") for i in range(6)])
    assert axes[0, 0].get_legend_handles_labels()[1][-1] == "F: kind 5"


def test_letters_have_room_above_the_data_and_no_events_change_nothing() -> None:
    _, axes = new_figure()
    panel = axes[0, 0]
    panel.plot([0, 1], [0, 1])
    low, high = panel.get_ylim()
    event_marks(panel, [])
    assert panel.get_ylim() == (low, high)
    event_marks(panel, [(0.5, "join")])
    assert panel.get_ylim() == pytest.approx((low, high + 0.1 * (high - low)))


@pytest.mark.parametrize(("series", "letters_each"), [(2, 5), (4, 12), (6, 30)])
def test_a_legend_lies_above_the_panel_and_the_title_above_it(series: int, letters_each: int) -> None:
    figure, axes = new_figure()
    panel = axes[0, 0]
    for place in range(series):
        line_with_band(panel, [0, 1], [place, place], place=place, label="x" * letters_each)
    panel.set_title("task")
    legend_above(panel)
    with house_style():
        figure.draw_without_rendering()
        legend = panel.get_legend().get_window_extent()
        title = panel.title if panel.title.get_text() else panel._left_title
        assert legend.y0 >= panel.get_window_extent().y1 - 1
        assert title.get_window_extent().y0 >= legend.y1 - 2
        assert legend.x1 <= figure.bbox.x1


def test_a_panel_without_names_gets_no_legend() -> None:
    _, axes = new_figure()
    axes[0, 0].plot([0, 1], [0, 1])
    legend_above(axes[0, 0])
    assert axes[0, 0].get_legend() is None


def test_places_may_be_arrays() -> None:
    _, axes = new_figure()
    line_with_band(axes[0, 0], np.arange(3), np.arange(3.0), np.ones(3))
    assert len(axes[0, 0].lines) == 1
