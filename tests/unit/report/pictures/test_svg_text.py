"""SVG of a page: colours are the page's, names are not doubled, texts stay as they are."""

import re

from esmm_dist.report.pictures.svg_text import page_svg

HEAD = (
    '<?xml version="1.0"?>\n<!DOCTYPE svg>\n<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="10pt" '
    'xmlns="http://www.w3.org/2000/svg" version="1.1">\n <metadata>\n  <dc:date>now</dc:date>\n </metadata>\n'
    ' <defs>\n  <style type="text/css">*{stroke-linejoin: round}</style>\n </defs>\n'
)


def test_an_element_is_left_without_what_a_page_says_once() -> None:
    text = page_svg(HEAD + "</svg>\n")
    assert text.startswith('<svg width="10pt" version="1.1">')
    assert text.endswith("</svg>")
    for gone in ("xmlns", "metadata", "style", "DOCTYPE"):
        assert gone not in text


def test_names_that_nothing_refers_to_go_and_others_stay() -> None:
    drawn = '<g id="axes_1"><path id="m1" d="M 0 0"/></g><use xlink:href="#m1"/><clipPath id="p2"/>'
    assert page_svg(f"<svg>{drawn}</svg>") == (
        '<svg><g><path id="m1" d="M 0 0"/></g><use href="#m1"/><clipPath id="p2"/></svg>'
    )


def test_colours_become_the_pages_in_tags_only() -> None:
    text = page_svg(
        "<svg><text style=\"fill: #0072b2; font: 9px 'DejaVu Sans', serif\">fill: #0072b2 &lt;</text></svg>"
    )
    assert text == '<svg><text style="fill: var(--x0072b2); font-size: 9px">fill: #0072b2 &lt;</text></svg>'


def test_a_colour_that_is_not_of_the_style_stays() -> None:
    assert page_svg('<svg><path style="fill: #123456"/></svg>') == '<svg><path style="fill: #123456"/></svg>'


def test_coordinates_keep_hundredths_and_other_numbers_all() -> None:
    text = page_svg('<svg><path d="M 1.23456 -0.001234 L 7.000000 12" style="opacity: 0.1234"/></svg>')
    assert text == '<svg><path d="M 1.23 0 L 7 12" style="opacity: 0.1234"/></svg>'


def test_transforms_are_rounded_likewise_and_texts_never() -> None:
    text = page_svg('<svg><text transform="translate(1.239999 2.5)">0.123456</text></svg>')
    assert re.findall(r"[\d.]+", text) == ["1.24", "2.5", "0.123456"]
