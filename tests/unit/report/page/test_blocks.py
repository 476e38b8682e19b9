"""Blocks of a page refuse what would be wrong in it."""

import pytest

from esmm_dist.report.page.blocks import Page, PageTable, Paragraph, Section
from esmm_dist.report.pictures.panels import new_figure
from esmm_dist.report.pictures.picture import Picture


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
    figure, axes = new_figure()
    axes[0, 0].set_xlabel("step")
    axes[0, 0].set_ylabel("AUC")
    one, other = (
        Picture(name=name, title="It rises.", how_to_read="A line.", figure=figure, numbers={"a": 1})
        for name in ("one", "other")
    )
    page = Page(title="t", subtitle="s", sections=[Section(heading="h", blocks=[one, other])])
    assert page.pictures() == [one, other]
    twice = Page(title="t", subtitle="s", sections=[Section(heading="h", blocks=[one]), *page.sections])
    with pytest.raises(ValueError, match="same name: one"):
        twice.pictures()
