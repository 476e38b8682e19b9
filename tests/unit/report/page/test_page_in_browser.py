"""A page of every kind of block and every helper of pictures, with hostile texts, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from esmm_dist.report.page.writing import write_html
from tests.support.browser import Browser, assert_good_page, started_browser
from tests.support.sample_page import HOSTILE, sample_page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started_browser() as started:
        yield started


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_html(sample_page(), path)
    return path


def test_a_page_is_good_at_both_widths_in_both_themes(browser: Browser, path: Path) -> None:
    assert_good_page(browser, path, [each.name for each in sample_page().pictures()])


def test_hostile_texts_are_seen_as_they_are(browser: Browser, path: Path) -> None:
    seen = browser.look(path)
    texts = {text.replace("\u200b", "") for figure in seen.figures.values() for text in figure.texts}
    assert len(HOSTILE) > 5
    for text, shown in HOSTILE.items():
        assert shown in texts, text


def test_panels_stand_below_one_another_on_a_narrow_page(browser: Browser, path: Path) -> None:
    wide, narrow = browser.look(path).figures["curves"], browser.look(path, width=420).figures["curves"]
    assert len(wide.drawn) == len(narrow.drawn) == 2
    assert wide.height < 1.8 * wide.drawn[0][1]
    assert narrow.height > 2 * narrow.drawn[0][1]
