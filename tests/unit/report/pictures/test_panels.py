"""Panels of a figure, together and one by one."""

import numpy as np
import pytest

from esmm_dist.report.pictures.panels import PANEL_INCHES, THIRD, apart, new_figure, panel_columns, small_multiples
from esmm_dist.report.pictures.styled import house_style


def test_a_figure_is_as_large_as_its_panels() -> None:
    figure, axes = new_figure(rows=2, columns=3, width=0.5, height=2)
    assert axes.shape == (2, 3)
    assert tuple(figure.get_size_inches()) == pytest.approx((1.5 * PANEL_INCHES[0], 4 * PANEL_INCHES[1]))


@pytest.mark.parametrize(
    ("count", "most", "rows", "columns"),
    [(1, 3, 1, 1), (2, 3, 1, 2), (3, 3, 1, 3), (5, 3, 2, 3), (4, 2, 2, 2), (23, 4, 6, 4)],
)
def test_small_multiples_have_a_panel_for_each_and_no_empty_ones(
    count: int, most: int, rows: int, columns: int
) -> None:
    figure, panels = small_multiples(count, most_columns=most)
    assert len(panels) == len(figure.axes) == count
    grid = panels[0].get_subplotspec().get_gridspec()
    assert (grid.nrows, grid.ncols) == (rows, columns)
    starts = [(panel.get_subplotspec().rowspan.start, panel.get_subplotspec().colspan.start) for panel in panels]
    assert starts == sorted(starts)


@pytest.mark.parametrize(
    ("count", "width", "expected"), [(2, None, 1.0), (3, None, THIRD), (5, None, THIRD), (3, 1.2, 1.2)]
)
def test_three_panels_in_a_row_are_smaller_unless_a_width_is_given(
    count: int, width: float | None, expected: float
) -> None:
    figure, _ = small_multiples(count, width=width)
    widths = [float(figure.get_figwidth()) for _ in apart(figure)]
    assert widths == pytest.approx([expected * PANEL_INCHES[0]] * count)


def test_panels_are_shown_one_by_one_in_their_own_size() -> None:
    figure, axes = new_figure(rows=2, columns=2)
    axes[0, 1].set_visible(False)
    seen = []
    for place in apart(figure):
        shown = [each for each in figure.axes if each.get_visible()]
        seen.append((place, shown))
        assert tuple(figure.get_size_inches()) == pytest.approx(PANEL_INCHES)
    assert seen == [(0, [axes[0, 0]]), (1, [axes[1, 0]]), (2, [axes[1, 1]])]


def test_wide_panels_keep_their_share() -> None:
    figure, _ = new_figure(columns=2, gridspec_kw={"width_ratios": [3, 1]})
    widths = [float(figure.get_figwidth()) for _ in apart(figure)]
    assert widths == pytest.approx([1.5 * PANEL_INCHES[0], 0.5 * PANEL_INCHES[0]])


def test_axes_over_one_another_are_one_panel() -> None:
    figure, axes = new_figure(columns=2)
    twin = axes[0, 0].twinx()
    first = next(apart(figure))
    assert first == 0
    assert panel_columns(figure) == 2
    counts = [sum(each.get_visible() for each in figure.axes) for _ in apart(figure)]
    assert counts == [2, 1]
    assert twin.get_visible()


def test_a_figure_is_as_it_was_once_its_panels_were_shown() -> None:
    figure, axes = new_figure(columns=3, sharex=True, sharey=True)
    for panel in axes.flat:
        panel.plot([0, 1000], [0, 1])
    axes[0, 2].set_visible(False)
    specs = [each.get_subplotspec() for each in figure.axes]
    ticks = [each.yaxis.get_tick_params()["labelleft"] for each in figure.axes]
    locators = axes[0, 1].xaxis.get_major_locator().axis
    assert ticks == [True, False, False]
    for _ in apart(figure):
        pass
    assert tuple(figure.get_size_inches()) == pytest.approx((3 * PANEL_INCHES[0], PANEL_INCHES[1]))
    assert [each.get_visible() for each in figure.axes] == [True, True, False]
    assert [each.get_subplotspec() for each in figure.axes] == specs
    assert [each.yaxis.get_tick_params()["labelleft"] for each in figure.axes] == ticks
    assert axes[0, 1].xaxis.get_major_locator().axis is locators


def test_a_panel_alone_has_the_numbers_that_its_neighbour_had() -> None:
    figure, axes = new_figure(columns=2, sharey=True)
    shown = [axes[0, place].yaxis.get_tick_params()["labelleft"] for place in apart(figure)]
    assert shown == [True, True]


def test_a_failure_while_a_panel_is_shown_leaves_the_figure_whole() -> None:
    figure, _ = new_figure(columns=2)
    shown = apart(figure)
    next(shown)
    with pytest.raises(RuntimeError, match="disk"):
        shown.throw(RuntimeError("disk"))  # type: ignore[attr-defined]
    assert all(each.get_visible() for each in figure.axes)
    assert float(figure.get_figwidth()) == pytest.approx(2 * PANEL_INCHES[0])


def test_what_belongs_to_several_panels_keeps_them_together() -> None:
    figure, axes = new_figure(columns=2)
    assert panel_columns(figure) == 2
    axes[0, 0].plot([0, 1], [0, 1], label="both")
    figure.legend()
    assert panel_columns(figure) == 1

    titled, _ = new_figure(columns=2)
    titled.suptitle("of both")
    assert panel_columns(titled) == 1

    coloured, axes = new_figure(columns=2)
    image = axes[0, 0].imshow(np.eye(2))
    coloured.colorbar(image, ax=list(axes.flat))
    assert panel_columns(coloured) == 1


def test_one_column_stays_one_figure() -> None:
    assert panel_columns(new_figure(rows=3)[0]) == 1


def test_panels_of_shared_axes_have_the_same_numbers_alone() -> None:
    figure, panels = small_multiples(5, sharex=True, sharey=True)
    for panel in panels:
        panel.plot([0, 9.45], [0, 22])
    numbers = []
    for place in apart(figure):
        with house_style():
            figure.draw_without_rendering()
        panel = panels[place]
        numbers.append([text.get_text() for text in (*panel.get_xticklabels(), *panel.get_yticklabels())])
    assert len(numbers) == 5
    assert all(each == numbers[0] for each in numbers)
