"""A page as one HTML file: no script, nothing from a network, light and dark."""

import html
import re
from collections.abc import Sequence
from importlib.resources import files

from esmm_dist.report.page.blocks import Block, Page, PageTable, Paragraph, Section
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
    return [heading, *lead, *(line for block in section.blocks for line in _block(block))]


def _block(block: Block) -> list[str]:
    match block:
        case Paragraph(kind="code"):
            return [f"<pre>{html.escape(block.text)}</pre>"]
        case Paragraph():
            return [f'<p class="{html.escape(block.kind)}">{html.escape(block.text)}</p>']
        case PageTable():
            return _table(block)
        case Picture():
            return [
                f'<figure id="{block.name}">',
                f"<figcaption><h3>{html.escape(block.title)}</h3></figcaption>",
                f'<div class="canvas" role="img" aria-label="{html.escape(block.title)}">{block.svg()}</div>',
                f'<p class="how">How to read: {html.escape(block.how_to_read)}</p>',
                "</figure>",
            ]


def _table(table: PageTable) -> list[str]:
    def cells(row: Sequence[str], tag: str) -> str:
        classes = [' class="left"' if i in table.text_columns else "" for i in range(len(row))]
        return "".join(
            f"<{tag}{of_cell}>{html.escape(cell)}</{tag}>" for of_cell, cell in zip(classes, row, strict=True)
        )

    title = html.escape(table.title)
    lines = [
        '<div class="scroll"><table>',
        f"<thead><tr>{cells(table.head, 'th')}</tr></thead>",
        "<tbody>",
        *(f"<tr>{cells(row, 'td')}</tr>" for row in table.rows),
        "</tbody></table></div>",
    ]
    how = [f'<p class="how">How to read: {html.escape(table.how_to_read)}</p>'] if table.how_to_read else []
    if table.folded:
        return [f"<details><summary>{title}</summary>", *how, *lines, "</details>"]
    return [f"<h3>{title}</h3>", *how, *lines]
