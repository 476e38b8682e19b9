"""Blocks of a page refuse what would be wrong in it."""

import pytest

from esmm_dist.report.page.blocks import Page, PageTable, Paragraph, Section
from tests.support.sample_page import sample_page


def test_a_row_has_as_many_cells_as_there_are_heads() -> None:
    with pytest.raises(ValueError, match="Table 'T.' has a row of 1 cells under 2 heads"):
        PageTable(title="T.", head=["a", "b"], rows=[["1", "2"], ["1"]])


def test_a_column_has_as_many_bars_as_there_are_rows() -> None:
    with pytest.raises(ValueError, match="Table 'T.' has 2 bars in column 1 and 1 rows"):
        PageTable(title="T.", head=["a", "b"], rows=[["1", "2"]], bars={1: [0.5, 0.6]})


def test_a_paragraph_is_of_a_known_kind() -> None:
    with pytest.raises(ValueError, match="A paragraph's kind is 'hint'; there are text, note, warning, code"):
        Paragraph(text="Mind.", kind="hint")


def test_pictures_have_names_of_their_own() -> None:
    page = sample_page()
    pictures = page.pictures()
    assert len(pictures) == 6
    twice = Page(title="t", subtitle="s", sections=[Section(heading="h", blocks=[pictures[0], pictures[0]])])
    with pytest.raises(ValueError, match="same name: curves"):
        twice.pictures()
