"""A table in a page."""

import html
from collections.abc import Sequence

from esmm_dist.report.page.blocks import PageTable
from esmm_dist.report.pictures.shown_text import cut

_MOST_LETTERS = 200
_LONG = 20
"""Rows above which a table scrolls under its heads."""


def table_lines(table: PageTable) -> list[str]:
    """Return the lines of a table."""
    title = html.escape(table.title)
    long = " long" if len(table.rows) > _LONG else ""
    lines = [
        f'<div class="scroll{long}" role="region" aria-label="{title}" tabindex="0"><table>',
        f"<thead><tr>{_heads(table)}</tr></thead>",
        "<tbody>",
        *(f"<tr>{_cells(table, row, place)}</tr>" for place, row in enumerate(table.rows)),
        "</tbody></table></div>",
    ]
    how = [f'<p class="how">How to read: {html.escape(table.how_to_read)}</p>'] if table.how_to_read else []
    if table.folded:
        return [f"<details><summary>{title}</summary>", *how, *lines, "</details>"]
    return [f"<h3>{title}</h3>", *how, *lines]


def _heads(table: PageTable) -> str:
    return "".join(f'<th scope="col"{_class(table, i)}>{_shown(text)}</th>' for i, text in enumerate(table.head))


def _cells(table: PageTable, row: Sequence[str], place: int) -> str:
    cells = []
    for i, text in enumerate(row):
        if i == 0:
            cells.append(f'<th scope="row"{_class(table, i)}>{_shown(text)}</th>')
        else:
            cells.append(f"<td{_class(table, i)}{_bar(table, i, place)}>{_shown(text)}</td>")
    return "".join(cells)


def _class(table: PageTable, column: int) -> str:
    return ' class="left"' if column in table.text_columns else ""


def _bar(table: PageTable, column: int, place: int) -> str:
    shares = table.bars.get(column)
    share = None if shares is None else shares[place]
    if share is None or not share > 0:  # nan is not above 0
        return ""
    return f' style="--share: {100 * min(1.0, share):.1f}%"'


def _shown(text: str) -> str:
    return html.escape(cut(text, _MOST_LETTERS))
