"""Histograms of classes over the same bins."""

import pytest

from esmm_dist.report.pictures.histograms import class_histogram
from esmm_dist.report.pictures.panels import new_figure
from esmm_dist.report.pictures.styled import house_style


def heights(panel) -> list[list[float]]:
    return [patch.get_data().values.tolist() for patch in panel.patches if patch.get_label() and not patch.get_fill()]


def test_heights_are_shares_of_each_class() -> None:
    _, axes = new_figure()
    class_histogram(axes[0, 0], [0, 1, 2], [("no", [30, 10]), ("yes", [1, 3])])
    assert heights(axes[0, 0]) == [[0.75, 0.25], [0.25, 0.75]]
    assert axes[0, 0].get_legend_handles_labels()[1] == ["no", "yes"]
    assert axes[0, 0].get_ylim()[0] == 0


def test_heights_may_be_things() -> None:
    _, axes = new_figure()
    class_histogram(axes[0, 0], [0, 1, 2], [("no", [30, 10])], as_shares=False)
    assert heights(axes[0, 0]) == [[30, 10]]


@pytest.mark.parametrize("classes", [[("none", [0, 0])], [("a", [1, 0]), ("none", [0, 0])], []])
def test_an_empty_class_is_drawn_as_nothing(classes: list[tuple[str, list[float]]]) -> None:
    figure, axes = new_figure()
    class_histogram(axes[0, 0], [0, 1, 2], classes)
    with house_style():
        figure.draw_without_rendering()
    assert len(heights(axes[0, 0])) == len(classes)
