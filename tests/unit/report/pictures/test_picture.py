"""A picture stands alone, or is refused with what it lacks."""

from typing import Any

import pytest

from esmm_dist.report.pictures.lines import event_marks, legend_above, line_with_band
from esmm_dist.report.pictures.panels import new_figure
from esmm_dist.report.pictures.picture import Picture, bar_of


def picture(**changes: Any) -> Picture:
    columns = changes.pop("columns", 1)
    figure, axes = new_figure(columns=columns, sharey=True)
    for panel in axes.flat:
        line_with_band(panel, range(30), range(30), [1.0] * 30, label="task")
        panel.bar([1, 2], [3, 4], **bar_of(1))
        event_marks(panel, [(3, "join")])
        panel.set_xlabel("step")
        panel.set_ylabel("AUC")
        legend_above(panel)
    given = {"name": "a-name", "title": "It rises.", "how_to_read": "A line.", "figure": figure, "numbers": {"a": 1}}
    return Picture(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": "A name"}, "The picture's name is 'A name'; lower case"),
        ({"name": "a--b"}, "The picture's name is 'a--b'"),
        ({"title": "AUC"}, "title of picture 'a-name' is 'AUC': write a sentence"),
        ({"how_to_read": ""}, "how_to_read of picture 'a-name' is ''"),
        ({"numbers": {}}, "does not say the numbers"),
        ({"figure": new_figure()[0]}, "An axis of picture 'a-name' has no label"),
    ],
)
def test_what_a_reader_would_miss_is_refused(changes: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        picture(**changes)


def test_a_figure_of_one_column_is_one_svg() -> None:
    (svg,) = picture().svgs()
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>")
    assert "var(--x0072b2)" in svg
    assert "#0072b2" not in svg


def test_panels_beside_one_another_are_an_svg_each() -> None:
    found = picture(columns=3)
    assert found.columns == 3
    svgs = found.svgs()
    assert len(svgs) == 3
    assert all(svg.count(">AUC<") == 1 for svg in svgs)


def test_the_same_picture_gives_the_same_text_each_time_and_everywhere() -> None:
    found = picture(columns=2)
    first = found.svgs()
    png = found.png()
    assert found.svgs() == first
    other = picture(columns=2)
    assert other.png() == png
    assert other.svgs() == first


def test_names_inside_differ_between_pictures_and_panels() -> None:
    ids = [set(_ids(svg)) for each in ("one", "two") for svg in picture(name=each, columns=2).svgs()]
    assert all(ids)
    assert len(set.union(*ids)) == sum(len(each) for each in ids)


def test_an_svg_is_small() -> None:
    assert sum(len(svg) for svg in picture(columns=2).svgs()) < 50_000


def _ids(svg: str) -> list[str]:
    return [part.split('"')[0] for part in svg.split(' id="')[1:]]
