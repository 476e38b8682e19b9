"""A page of every kind of block and every helper of pictures, with hostile texts, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import Browser, assert_good_page, started_browser
from tests.support.sample_page import HOSTILE, sample_html


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started_browser() as started:
        yield started


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(sample_html(), encoding="utf-8")
    return path


def test_a_page_is_good_at_both_widths_in_both_themes(browser: Browser, path: Path) -> None:
    assert_good_page(browser, path, ["curves", "wide", "bars", "classes", "groups", "multiples"])


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


def test_three_panels_stand_in_a_row_from_860_px_on_and_can_be_read(browser: Browser, path: Path) -> None:
    figure = browser.look(path, width=860).figures["multiples"]
    assert len(figure.drawn) == 5
    assert all(3 * width <= figure.width < 3.4 * width for width, _ in figure.drawn)
    assert figure.height < 3 * figure.drawn[0][1]  # two rows and a line on how to read them
    assert figure.text_px is not None
    assert figure.text_px >= 8.5


GOOD = (
    '<!DOCTYPE html><html><head><meta charset="utf-8"><title>t</title>'
    '<meta name="viewport" content="width=device-width">'
    "<style>body { margin: 0; background: #fff; }"
    "@media (prefers-color-scheme: dark) { body { background: #111; } text { fill: #eee; } }</style></head><body>"
    '<figure id="a" style="margin: 0"><svg viewBox="0 0 300 100" width="300">'
    '<text y="50" font-size="12">text</text></svg>'
    "</figure>EXTRA</body></html>"
)


@pytest.mark.parametrize(
    ("extra", "error"),
    [
        ("<script>throw new Error('broken')</script>", "broken"),
        ("<script>console.error('said')</script>", "said"),
        ("<img src='http://127.0.0.1:9/x.png'>", "127.0.0.1:9"),
        ("<img src='other.png' alt=''>", "other.png"),
        ("<div style='width: 1200px'>wide</div>", "px wider than the window"),
        ("<figure id='b'></figure>", "has the pictures"),
        ("<p id='a'></p>", "the same id twice"),
        ("<a href='#gone'>x</a>", "refers to what is not there"),
        (
            "<style>@media (prefers-color-scheme: dark) { body { background: #fff; } text { fill: #000; } }</style>",
            "themes look alike",
        ),
        ("<style>svg { width: 150px }</style>", "has letters of 6.0 px"),
        ("<style>svg { display: none }</style>", "nothing is drawn"),
        ("<style>svg text { transform: translate(-9px, 0) }</style>", "the edge cuts .*text"),
        ("<style>svg text { fill: #aaa }</style>", "light, picture a is hardly seen: .*text"),
        ("<style>svg text { fill: #555 }</style>", "dark, picture a is hardly seen: .*text"),
        ("<style>svg { height: 2px; width: 100px }</style>", "picture a"),
        ("<style>body { width: 300px; overflow: hidden } svg { width: 900px }</style>", "reaches out of the page"),
    ],
)
def test_a_bad_page_is_found_out(browser: Browser, tmp_path: Path, extra: str, error: str) -> None:
    path = tmp_path / "bad.html"
    path.write_text(GOOD.replace("EXTRA", extra), encoding="utf-8")
    with pytest.raises(AssertionError, match=error):
        assert_good_page(browser, path, ["a"])


def test_a_good_page_of_others_passes(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "good.html"
    path.write_text(GOOD.replace("EXTRA", ""), encoding="utf-8")
    assert_good_page(browser, path, ["a"])


def test_a_machine_without_chromium_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(pytest.skip.Exception, match="there is no Chromium on this machine"), started_browser():
        pass
