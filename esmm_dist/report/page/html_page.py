"""A page as one HTML file: no script, nothing from a network, light and dark."""

import html
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

from esmm_dist.escaped import lines_of, one_line
from esmm_dist.report.page.blocks import Block, Page, PageTable, Paragraph, Section
from esmm_dist.report.page.figure_html import figure_lines, is_narrow
from esmm_dist.report.page.table_html import table_lines
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.shown_text import cut
from esmm_dist.report.pictures.style import DARK

MOST_BYTES = 5_000_000
"""A page is smaller than this: it is sent by mail."""

_FACT_LETTERS = 60


def html_of(page: Page, most_bytes: int = MOST_BYTES) -> str:
    """Return the file's text; the same page gives the same text.

    Where it would be larger than ``most_bytes``, its largest pictures are PNG instead of SVG.

    Raises:
        ValueError: Two pictures have one name, or the page is too large even so.
    """
    pictures = {each.name: each for each in page.pictures()}
    figures = {name: figure_lines(each) for name, each in pictures.items()}
    size = _bytes(_text(page, figures))
    for name in sorted(figures, key=lambda name: -_bytes("".join(figures[name]))):
        if size <= most_bytes:
            break
        smaller = figure_lines(pictures[name], as_png=True)
        saved = _bytes("\n".join(figures[name])) - _bytes("\n".join(smaller))
        if saved > 0:
            figures[name] = smaller
            size -= saved
    if size > most_bytes:
        raise ValueError(
            f"Page '{page.title}' has {size:,} bytes, even with pictures as PNG; at most {most_bytes:,} are allowed. "
            "Leave out tables of many rows, or pictures."
        )
    return _text(page, figures)


def _bytes(text: str) -> int:
    return len(text.encode())


def _text(page: Page, figures: Mapping[str, Sequence[str]]) -> str:
    title, subtitle = html.escape(one_line(page.title)), html.escape(one_line(page.subtitle))
    sections = [line for i, each in enumerate(page.sections) for line in _section(each, i, figures)]
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        *([] if page.refresh_s is None else [f'<meta http-equiv="refresh" content="{math.ceil(page.refresh_s)}">']),
        f"<title>{title}</title>",
        f"<style>\n{_css()}</style>",
        "</head>",
        "<body><main>",
        _THEME,
        f"<h1>{title}</h1>",
        f'<p class="subtitle">{subtitle}</p>',
        *_facts(page.facts),
        *_contents(page.sections),
        *sections,
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
    cells = (f"<div><dt>{_line(name)}</dt><dd>{_line(value)}</dd></div>" for name, value in facts)
    return ['<dl class="facts">', *cells, "</dl>"]


def _line(text: str) -> str:
    return html.escape(cut(text, _FACT_LETTERS))


def _anchor(section: Section, place: int) -> str:
    return f"section-{place + 1}-" + re.sub(r"[^a-z0-9]+", "-", section.heading.lower()).strip("-")


def _contents(sections: Sequence[Section]) -> list[str]:
    if len(sections) < 2:
        return []
    links = (
        f'<a href="#{_anchor(each, i)}">{html.escape(one_line(each.heading))}</a>' for i, each in enumerate(sections)
    )
    return ['<nav aria-label="Sections">', *links, "</nav>"]


def _section(section: Section, place: int, figures: Mapping[str, Sequence[str]]) -> list[str]:
    lead = [f'<p class="lead">{html.escape(section.lead)}</p>'] if section.lead else []
    anchor = _anchor(section, place)
    heading = f'<h2 id="{anchor}">{html.escape(one_line(section.heading))}</h2>'
    blocks = _blocks(section.blocks, figures)
    return [f'<section aria-labelledby="{anchor}">', heading, *lead, *blocks, "</section>"]


def _blocks(blocks: Sequence[Block], figures: Mapping[str, Sequence[str]]) -> list[str]:
    """Return blocks in their order; pictures of one panel that follow one another stand beside one another."""
    lines: list[str] = []
    for is_small, group in itertools.groupby(blocks, key=lambda block: isinstance(block, Picture) and is_narrow(block)):
        found = [line for block in group for line in _block(block, figures)]
        lines += ['<div class="pictures">', *found, "</div>"] if is_small else found
    return lines


def _block(block: Block, figures: Mapping[str, Sequence[str]]) -> Sequence[str]:
    match block:
        case Paragraph(kind="code"):
            return [f'<pre tabindex="0">{html.escape(lines_of(block.text))}</pre>']
        case Paragraph():
            return [f'<p class="{html.escape(block.kind)}">{html.escape(lines_of(block.text))}</p>']
        case PageTable():
            return table_lines(block)
        case Picture():
            return figures[block.name]
