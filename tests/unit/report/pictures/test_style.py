"""Series can be told apart by everybody, on both themes and in grey print; texts can be read."""

import itertools

import pytest

from esmm_dist.report.pictures.style import (
    DARK,
    GRID,
    INK,
    MUTED,
    PAPER,
    SERIES_COLOURS,
    bar_of,
    line_of,
    series_style,
)
from tests.support.colours import SIGHTS, contrast, distance, lightness

THEMES = {"light": {colour: colour for colour in DARK}, "dark": DARK}
LEAST_DISTANCE = 12.0
"""CIE76; 2.3 is just noticeable, side by side. The pair that is closest has 13.9."""
FIRST = 4
"""Series that most pictures have at most; these are also apart from the paper as WCAG asks of graphics."""


def test_the_support_measures_as_published() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(
        4.48, abs=0.01
    )  # WebAIM's well-known example that just fails
    assert lightness("#ffffff") == pytest.approx(100)
    assert distance("#ff0000", "#00ff00", "full") > 2 * distance("#ff0000", "#00ff00", "deuteranopia")
    assert distance("#000000", "#ffffff", "tritanopia") == pytest.approx(100, abs=0.5)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("sight", SIGHTS)
def test_any_two_series_differ_for_every_kind_of_sight(theme: str, sight: str) -> None:
    colours = [THEMES[theme][colour] for colour in SERIES_COLOURS]
    assert len(colours) == 6
    found = {pair: distance(*pair, sight) for pair in itertools.combinations(colours, 2)}
    assert min(found.values()) > LEAST_DISTANCE, min(found.items(), key=lambda each: each[1])


def test_any_two_series_differ_in_grey_by_line_mark_and_hatch() -> None:
    styles = [series_style(place) for place in range(len(SERIES_COLOURS))]
    for attribute in ("line", "mark", "hatch"):
        assert len({str(getattr(each, attribute)) for each in styles}) == len(styles), attribute


def test_a_colour_that_comes_again_has_another_line() -> None:
    again = series_style(len(SERIES_COLOURS))
    assert again.colour == series_style(0).colour
    assert again.line != series_style(0).line
    assert again.mark != series_style(0).mark
    assert again.hatch != series_style(0).hatch


@pytest.mark.parametrize("theme", THEMES)
def test_texts_and_first_series_have_the_contrast_that_wcag_asks_for(theme: str) -> None:
    shown = THEMES[theme]
    for text in (INK, MUTED, SERIES_COLOURS[0]):  # the last: links
        assert contrast(shown[text], shown[PAPER]) >= 4.5, text
    for series in SERIES_COLOURS[:FIRST]:
        assert contrast(shown[series], shown[PAPER]) >= 3.0, series


def test_every_colour_of_pictures_has_one_for_dark_pages() -> None:
    assert {INK, MUTED, GRID, PAPER, *SERIES_COLOURS} == set(DARK)
    assert len(set(DARK.values())) == len(DARK)


def test_lines_and_bars_take_the_style_of_their_place() -> None:
    style = series_style(2)
    assert line_of(2) == {"color": style.colour, "linestyle": style.line, "marker": style.mark}
    assert bar_of(2)["hatch"] == style.hatch


def test_hatches_are_of_lines_which_are_small_in_svg() -> None:
    assert set("".join(series_style(place).hatch for place in range(12))) <= set("/\\x-|")
