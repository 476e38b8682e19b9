"""The page of a data set of any form: no form is refused, and it stays small."""

import re
from typing import Any

import pytest

from esmm_dist.report.data_page.page import data_page
from esmm_dist.report.page.blocks import PageTable, Paragraph
from esmm_dist.report.page.html_page import MOST_BYTES, html_of
from esmm_dist.report.pictures.picture import Picture
from tests.support.made_up_statistics import statistics

FORMS: dict[str, dict[str, Any]] = {
    "two splits": {},
    "three splits and days": {"splits": ("train", "validation", "test"), "days": 9},
    "one split": {"splits": ("train",)},
    "no train split": {"splits": ("test",), "days": 1},
    "no splits": {"splits": ()},
    "nothing at all": {"splits": (), "fields": 0, "labels": 0},
    "no fields": {"fields": 0},
    "no impressions": {"impressions": 0},
    "no impressions on any day": {"impressions": 0, "days": 3},
    "a tree of labels": {"labels": 4, "parents": (-1, 0, 1, 1)},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_data_has_a_page(form):
    page = data_page(statistics(**FORMS[form]), "esmm stats data")
    headings = [section.heading for section in page.sections]
    assert headings[0] == "Overview"
    assert headings[-1] == "How this was read"
    said = [each for section in page.sections for block in section.blocks for each in texts_of(block)]
    assert "esmm stats data" in said
    assert not [each for each in said if re.search(r"\b(nan|None|inf)\b", each)]


def texts_of(block):
    match block:
        case Paragraph():
            return [block.text]
        case PageTable():
            return [block.title, block.how_to_read, *block.head, *(cell for row in block.rows for cell in row)]
        case Picture():
            return [block.title, block.how_to_read]


def test_a_page_of_40_fields_and_5_labels_is_small():
    page = data_page(statistics(fields=40, labels=5, days=400, splits=("train", "validation", "test")))
    assert len(page.pictures()) == 11
    assert len(html_of(page).encode()) < MOST_BYTES / 2
