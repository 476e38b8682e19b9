"""What is drawn after a figure is made has its style, and the settings of the process stay as they are."""

import threading
import warnings

import matplotlib
import pytest
from matplotlib.colors import to_hex

from esmm_dist.report.pictures.panels import new_figure
from esmm_dist.report.pictures.style import INK, MUTED, PAPER, RC, bar_of
from esmm_dist.report.pictures.styled import StyledAxes, StyledFigure, forget_layout, house_style


def test_titles_legends_texts_and_hatches_have_the_style_without_a_context() -> None:
    _, axes = new_figure()
    panel = axes[0, 0]
    (bar,) = panel.bar([1], [2], label="bar", **bar_of(1))
    legend = panel.legend()
    assert panel.set_title("left").get_position()[0] == 0.0
    assert panel.get_title(loc="left") == "left"
    assert not legend.get_frame_on()
    assert to_hex(panel.text(0, 0, "text").get_color()) == INK
    assert bar._hatch_linewidth == RC["hatch.linewidth"]
    assert to_hex(bar._hatch_color) == PAPER


def test_axes_that_are_added_later_have_the_style_too() -> None:
    figure, axes = new_figure()
    assert isinstance(figure, StyledFigure)
    twin = axes[0, 0].twinx()
    assert isinstance(twin, StyledAxes)
    assert to_hex(twin.plot([0, 1], [0, 1])[0].get_color()) != INK
    assert twin.plot([0, 1], [0, 1])[0].get_linewidth() == RC["lines.linewidth"]
    assert to_hex(figure.text(0, 0, "of the figure").get_color()) == INK


def test_the_settings_of_the_process_stay_as_they_are() -> None:
    before = dict(matplotlib.rcParams)
    _, axes = new_figure()
    axes[0, 0].plot([1, 2], [3, 4], label="x")
    axes[0, 0].legend()
    with pytest.raises(ValueError, match="shape"):
        axes[0, 0].plot([1, 2], [1, 2, 3])
    assert dict(matplotlib.rcParams) == before


def test_the_style_ends_with_its_context() -> None:
    with house_style(**{"svg.hashsalt": "salt"}):
        assert matplotlib.rcParams["svg.hashsalt"] == "salt"
        assert matplotlib.rcParams["axes.edgecolor"] == MUTED
    assert matplotlib.rcParams["svg.hashsalt"] != "salt"


@pytest.mark.parametrize("text", ["$\\frac{", "$x$", "a_b^c", "\\alpha", "%", "{", "#1b1f24"])
def test_texts_are_never_read_as_formulas(text: str) -> None:
    figure, axes = new_figure()
    panel = axes[0, 0]
    panel.plot([0, 1], [0, 1], label=text)
    panel.set_title(text)
    panel.set_xlabel(text)
    panel.set_xticks([0, 1], [text, text])
    panel.legend()
    panel.annotate(text, (0, 0))
    with house_style():
        figure.draw_without_rendering()
    assert panel.title.get_parse_math() is False


def test_labels_that_begin_with_an_underscore_are_in_the_legend() -> None:
    _, axes = new_figure()
    axes[0, 0].plot([0, 1], [0, 1], label="_hidden")
    axes[0, 0].plot([0, 1], [0, 1], label="_nolegend_")
    axes[0, 0].plot([0, 1], [0, 1])
    assert [text.get_text() for text in axes[0, 0].legend().get_texts()] == ["\u200b_hidden"]


def test_letters_that_the_font_lacks_are_no_warning() -> None:
    figure, axes = new_figure()
    axes[0, 0].set_title("日本語")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with house_style():
            figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("number", "text"),
    [(1e6, "1,000,000"), (10, "10"), (1, "1"), (0.1, "0.1"), (0.00001, "0.00001"), (1e-7, "1e-07"), (0, "0")],
)
def test_logarithmic_axes_have_plain_numbers(number: float, text: str) -> None:
    _, axes = new_figure()
    axes[0, 0].set_xscale("log")
    axes[0, 0].set_yscale("symlog")
    for axis in (axes[0, 0].xaxis, axes[0, 0].yaxis):
        assert axis.get_major_formatter()(number) == text
        assert axis.get_minor_formatter()(number) == ""


def test_labels_stay_inside_a_figure_that_was_drawn_before() -> None:
    figure, axes = new_figure()
    for name in ("x", "y"):
        getattr(axes[0, 0], f"set_{name}label")("a label of an axis")
    axes[0, 0].set_title("a title")
    for _ in range(2):
        with house_style():
            forget_layout(figure)
            figure.draw_without_rendering()
            for artist in (axes[0, 0].xaxis.label, axes[0, 0].yaxis.label, axes[0, 0]._left_title):
                box = artist.get_window_extent()
                assert artist.get_text()
                assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
                assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1


def test_a_context_of_another_thread_is_not_this_ones() -> None:
    inside = []
    with house_style():
        thread = threading.Thread(target=lambda: inside.append(new_figure()[1][0, 0].legend is not None))
        thread.start()
        thread.join()
    assert inside == [True]
