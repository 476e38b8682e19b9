"""matplotlib's SVG made fit for a page with many pictures.

Its colours become the page's variables, names that nothing refers to go (they would be there once in each picture), and
so does what a page says once: fonts, metadata. Coordinates keep hundredths of a point.
"""

import re

from esmm_dist.report.pictures.style import DARK

_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_CSS = re.compile(r'\s*<style type="text/css">.*?</style>', re.DOTALL)
_TAG = re.compile(r"<[^!?/][^>]*>")
_GROUP_NAME = re.compile(r'^<g id="[^"]*"')
_NAMESPACES = re.compile(r'\s+xmlns(:xlink)?="[^"]*"')
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_NUMBERS_OF = re.compile(r' (d|x|y|width|height|transform|points)="[^"]*"')
_FONT = re.compile(r"font: (?P<size>[0-9.]+px) [^;\"]*")


def page_svg(text: str) -> str:
    """Return an SVG element for a page from the SVG file that matplotlib wrote.

    Args:
        text: the file's text, with texts as texts (``svg.fonttype`` is none) and without comments
    """
    text = text[text.index("<svg") :].strip()
    text = _CSS.sub("", _METADATA.sub("", text))
    return _TAG.sub(lambda found: _tag(found.group()), text)


def _tag(tag: str) -> str:
    tag = _GROUP_NAME.sub("<g", tag)
    if tag.startswith("<svg"):
        tag = _NAMESPACES.sub("", tag)
    tag = tag.replace("xlink:href=", "href=")
    tag = _NUMBERS_OF.sub(lambda found: _LONG_NUMBER.sub(_rounded, found.group()), tag)
    tag = _FONT.sub(r"font-size: \g<size>", tag)
    for colour in DARK:
        tag = tag.replace(colour, f"var(--x{colour[1:]})")
    return tag


def _rounded(number: re.Match[str]) -> str:
    text = f"{float(number.group()):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
