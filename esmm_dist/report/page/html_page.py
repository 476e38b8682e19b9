"""A page as one HTML file: no script, nothing from a network, light and dark."""

import html
import itertools
import re
from collections.abc import Sequence
from importlib.resources import files

from esmm_dist.report.page.blocks import Block, Page, PageTable, Paragraph, Section
from esmm_dist.report.page.figure_html import figure_lines, is_narrow
from esmm_dist.report.page.table_html import table_lines
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.style import DARK

MOST_BYTES = 5_000_000
"""A page is smaller than this: it is sent by mail."""


def html_of(page: Page) -> str:
    """Return the file's text.

    Raises:
        ValueError: Two pictures have one name.
    """
    page.pictures()  # checks the names
    title, subtitle = html.escape(page.title), html.escape(page.subtitle)
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        f"<style>\n{_css()}</style>",
        "</head>",
        "<body><main>",
        _THEME,
        f"<h1>{title}</h1>",
        f'<p class="subtitle">{subtitle}</p>',
        *_facts(page.facts),
        *_contents(page.sections),
        *(line for place, section in enumerate(page.sections) for line in _section(section, place)),
        "</main></body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


_THEME = (
    '<fieldset class="theme" aria-label="Colours of the page">'
    '<label><input type="radio" name="theme" checked> as the system</label> '
    '<label><input type="radio" name="theme" id="page-light"> light</label> '
    '<label><input type="radio" name="theme" id="page-dark"> dark</label></fieldset>'
)


def _css() -> str:
    text = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    light = " ".join(f"--x{colour[1:]}: {colour};" for colour in DARK)
    dark = " ".join(f"--x{colour[1:]}: {other};" for colour, other in DARK.items())
    return text.replace("LIGHT", light).replace("DARK", dark)


def _facts(facts: Sequence[tuple[str, str]]) -> list[str]:
    if not facts:
        return []
    cells = (f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in facts)
    return ['<dl class="facts">', *cells, "</dl>"]


def _anchor(section: Section, place: int) -> str:
    return f"{place + 1}-" + re.sub(r"[^a-z0-9]+", "-", section.heading.lower()).strip("-")


def _contents(sections: Sequence[Section]) -> list[str]:
    if len(sections) < 2:
        return []
    links = (f'<a href="#{_anchor(each, i)}">{html.escape(each.heading)}</a>' for i, each in enumerate(sections))
    return ["<nav>", *links, "</nav>"]


def _section(section: Section, place: int) -> list[str]:
    lead = [f'<p class="lead">{html.escape(section.lead)}</p>'] if section.lead else []
    heading = f'<h2 id="{_anchor(section, place)}">{html.escape(section.heading)}</h2>'
    return ["<section>", heading, *lead, *_blocks(section.blocks), "</section>"]


def _blocks(blocks: Sequence[Block]) -> list[str]:
    """Return blocks in their order; pictures of one panel that follow one another stand beside one another."""
    lines: list[str] = []
    for is_small, group in itertools.groupby(blocks, key=lambda block: isinstance(block, Picture) and is_narrow(block)):
        found = [line for block in group for line in _block(block)]
        lines += ['<div class="pictures">', *found, "</div>"] if is_small else found
    return lines


def _block(block: Block) -> list[str]:
    match block:
        case Paragraph(kind="code"):
            return [f"<pre>{html.escape(block.text)}</pre>"]
        case Paragraph():
            return [f'<p class="{html.escape(block.kind)}">{html.escape(block.text)}</p>']
        case PageTable():
            return table_lines(block)
        case Picture():
            return figure_lines(block)
