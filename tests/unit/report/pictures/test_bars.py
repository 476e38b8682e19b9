"""Horizontal bars: in their order, with errors, numbers and labels of any text."""

import itertools
import math

import pytest

from esmm_dist.report.pictures.bars import bars_height, grouped_bars, horizontal_bars
from esmm_dist.report.pictures.numbers_shown import decimal
from esmm_dist.report.pictures.panels import PANEL_INCHES, new_figure
from esmm_dist.report.pictures.styled import house_style


def two(value: float) -> str:
    return decimal(value, 2)


def test_the_first_bar_is_at_the_top() -> None:
    _, axes = new_figure()
    horizontal_bars(axes[0, 0], ["a", "b"], [3, -2])
    bars = axes[0, 0].patches
    assert [bar.get_width() for bar in bars] == [3, -2]
    low, high = axes[0, 0].get_ylim()
    assert low > high
    middles = [bar.get_y() + bar.get_height() / 2 for bar in bars]
    assert middles == pytest.approx([0, 1])
    assert [each.get_text() for each in axes[0, 0].get_yticklabels()] == ["a", "b"]


def test_labels_are_one_line_cut_and_apart() -> None:
    _, axes = new_figure()
    horizontal_bars(axes[0, 0], ["x" * 200, "x" * 300, "a\nb", "$y$"], [1, 2, 3, 4])
    shown = [each.get_text() for each in axes[0, 0].get_yticklabels()]
    assert shown == ["x" * 27 + "…", "x" * 27 + "… (2)", "a\\nb", "$y$"]


def test_numbers_stand_beyond_the_errors_inside_the_panel() -> None:
    figure, axes = new_figure()
    panel = axes[0, 0]
    horizontal_bars(panel, ["a", "b", "c"], [10, -5, 0], errors=[1, 2, math.nan], text_of=two)
    assert [(text.get_text(), text.xy[0]) for text in panel.texts] == [("10.00", 11), ("-5.00", -7), ("0.00", 0)]
    with house_style():
        figure.draw_without_rendering()
        frame = panel.get_window_extent()
        for text in panel.texts:
            assert text.get_window_extent().x0 >= frame.x0
            assert text.get_window_extent().x1 <= frame.x1 + 1


def test_a_value_that_is_not_there_is_a_dash() -> None:
    figure, axes = new_figure()
    horizontal_bars(axes[0, 0], ["a", "b"], [math.nan, math.nan], errors=[math.nan, 1], text_of=two)
    assert [text.get_text() for text in axes[0, 0].texts] == ["–", "–"]
    with house_style():
        figure.draw_without_rendering()


def test_no_bars_are_a_figure_too() -> None:
    figure, axes = new_figure()
    horizontal_bars(axes[0, 0], [], [], text_of=two)
    grouped_bars(axes[0, 0], [], {}, text_of=two)
    with house_style():
        figure.draw_without_rendering()


def test_groups_stand_in_order_and_do_not_touch_the_next() -> None:
    _, axes = new_figure()
    grouped_bars(axes[0, 0], ["a", "b"], {"train": [1, 2], "test": [3, 4]}, errors={"test": [0.1, 0.2]}, text_of=two)
    spans = sorted((bar.get_y(), bar.get_y() + bar.get_height(), bar.get_width()) for bar in axes[0, 0].patches)
    assert [width for _, _, width in spans] == [1, 3, 2, 4]
    assert all(end < start for (_, end, _), (start, _, _) in itertools.pairwise(spans))
    assert axes[0, 0].get_legend_handles_labels()[1] == ["train", "test"]
    # numbers of test stand after its errors
    assert sorted(text.xy[0] for text in axes[0, 0].texts) == pytest.approx([1, 2, 3.1, 4.2])


@pytest.mark.parametrize("bars", [0, 1, 23, 60])
def test_every_bar_has_room_for_its_label(bars: int) -> None:
    inches = bars_height(bars) * PANEL_INCHES[1]
    assert inches >= 0.26 * bars + 0.5
    assert bars_height(bars, 3) > bars_height(bars) if bars else True
