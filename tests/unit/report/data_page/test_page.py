"""The page of a data set of any form: no form is refused, and it stays small."""

import re
from typing import Any

import pytest

from esmm_dist.report.data_page.page import data_page
from esmm_dist.report.page.blocks import PageTable, Paragraph
from esmm_dist.report.page.html_page import MOST_BYTES
from esmm_dist.report.page.writing import write_html
from esmm_dist.report.pictures.picture import Picture
from tests.support.browser import assert_good_page, started_browser
from tests.support.made_up_statistics import statistics

HOSTILE = ("<script>alert(1)</script>", "two\nlines", "x" * 200, "$a_b$", "Стол 桌子", "", "%s{}\\")
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


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Write the page of many fields, some with hostile names, and return it with its file."""
    numbers = statistics(fields=40, labels=5, days=60, splits=("train", "validation", "test"), names=HOSTILE)
    page = data_page(numbers, "esmm stats '<data>'")
    path = tmp_path_factory.mktemp("page") / "data.html"
    write_html(page, path)
    return page, path


def test_a_page_of_40_fields_and_5_labels_is_small(large):
    page, path = large
    assert len(page.pictures()) == 11
    assert path.stat().st_size < MOST_BYTES / 2


def test_names_of_a_users_files_are_shown_as_texts(large):
    text = large[1].read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "x" * 40 not in text


def test_a_large_page_is_good_at_both_widths_in_both_themes(large):
    page, path = large
    with started_browser() as browser:
        assert_good_page(browser, path, [picture.name for picture in page.pictures()])
