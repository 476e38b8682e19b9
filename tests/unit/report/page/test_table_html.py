"""A table of a page."""

import math
from typing import Any

import pytest

from esmm_dist.report.page.blocks import PageTable
from esmm_dist.report.page.table_html import table_lines


def numbered(count: int) -> list[list[str]]:
    return [[f"f{i}", str(i)] for i in range(count)]


def table(rows: list[list[str]], **changes: Any) -> str:
    given = {"title": "All <fields>.", "head": ["field", "ids"], "rows": rows}
    return "\n".join(table_lines(PageTable(**{**given, **changes})))


def test_rows_and_columns_have_heads() -> None:
    text = table(numbered(2))
    assert text.startswith("<h3>All &lt;fields&gt;.</h3>")
    assert '<tr><th scope="col" class="left">field</th><th scope="col">ids</th></tr>' in text
    assert '<tr><th scope="row" class="left">f1</th><td>1</td></tr>' in text


@pytest.mark.parametrize(("rows", "scrolls"), [(20, False), (21, True)])
def test_a_long_table_scrolls(rows: int, scrolls: bool) -> None:
    assert ('class="scroll long"' in table(numbered(rows))) == scrolls


def test_a_folded_table_opens_by_its_title() -> None:
    text = table(numbered(1), folded=True, how_to_read="A row.")
    assert text.startswith("<details><summary>All &lt;fields&gt;.</summary>")
    assert text.endswith("</details>")
    assert "How to read: A row." in text


def test_long_texts_are_cut_and_hostile_ones_shown() -> None:
    text = table([["x" * 500, "<i>\n"]], text_columns=(0, 1))
    assert "x" * 199 + "…" in text
    assert '<td class="left">&lt;i&gt;\\n</td>' in text


@pytest.mark.parametrize(
    ("share", "drawn"),
    [(0.256, "25.6%"), (1.5, "100.0%"), (0.0, None), (-0.1, None), (math.nan, None), (None, None)],
)
def test_a_bar_is_as_long_as_its_share(share: float | None, drawn: str | None) -> None:
    text = table(numbered(1), bars={1: [share]})
    assert ("--share" in text) == (drawn is not None)
    assert drawn is None or f'<td style="--share: {drawn}">0</td>' in text
