"""Pages in a real browser: Chromium, headless, without a network.

``python -m tests.support.browser PAGE.html FOLDER`` writes screenshots at both widths in both themes, for people.
"""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

WIDTHS = (1100, 420)
THEMES = ("light", "dark")
LEAST_TEXT_PX = {1100: 9.0, 420: 8.0}
"""Height of the letters of a picture's texts, at each width of the page."""
NO_CHROMIUM = "there is no Chromium on this machine (Debian: apt-get install chromium fonts-dejavu-core)"

_PATIENCE_MS = 300_000
"""Playwright gives up after 30 s by itself, which a loaded machine needs; a test's own limit ends it earlier."""
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
_LOOK = """() => {
  const shown = (node) => node.getClientRects().length > 0;
  const box = (node) => { const r = node.getBoundingClientRect(); return [r.width, r.height]; };
  const letters = (text) => {
    const m = text.getScreenCTM();
    return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(m.a, m.b);
  };
  const bright = (colour) => {
    const rgb = colour.match(/[0-9.]+/g).slice(0, 3).map((each) => each / 255);
    const linear = rgb.map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const paper = getComputedStyle(document.body).backgroundColor;
  const contrast = (colour) => {
    const [dark, light] = [bright(colour), bright(paper)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  // what has the paper's own colour is drawn on something else
  const faint = (colour, least) => colour !== "none" && colour.startsWith("rgb(") && colour !== paper &&
    contrast(colour) < least;
  const figures = {};
  for (const figure of document.querySelectorAll("figure")) {
    const drawn = [...figure.querySelectorAll("svg, img")].filter(shown);
    const texts = [...figure.querySelectorAll("svg text")].filter(shown);
    figures[figure.id] = {
      box: box(figure), drawn: drawn.map(box), text_px: texts.length ? Math.min(...texts.map(letters)) : null,
      faint: [
        ...texts.filter((text) => faint(getComputedStyle(text).fill, 4.5)).map((text) => text.textContent),
        ...[...figure.querySelectorAll("svg path, svg use")].filter(shown)
          .map((line) => getComputedStyle(line).stroke).filter((stroke) => faint(stroke, 1.2)),
      ],
      outside: texts.filter((text) => {
        const [of_text, of_svg] = [text.getBoundingClientRect(), text.closest("svg").getBoundingClientRect()];
        return of_text.left < of_svg.left - 2 || of_text.right > of_svg.right + 2 || of_text.top < of_svg.top - 2 ||
          of_text.bottom > of_svg.bottom + 2;
      }).map((text) => text.textContent),
      texts: texts.map((text) => text.textContent),
      clipped: drawn.filter((each) => each.getBoundingClientRect().right > figure.getBoundingClientRect().right + 1 &&
        getComputedStyle(each.parentNode).overflowX === "visible").length,
    };
  }
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  const names = new Set(ids);
  const references = [...document.querySelectorAll("[href^='#']")].map((each) => each.getAttribute("href").slice(1));
  return {
    figures, title: document.title, overflow_px: document.documentElement.scrollWidth - window.innerWidth,
    double_ids: ids.filter((each, i) => ids.indexOf(each) !== i),
    dead_references: references.filter((each) => !names.has(each)),
    background: getComputedStyle(document.body).backgroundColor,
  };
}"""


@dataclass(frozen=True, kw_only=True)
class SeenFigure:
    """A picture as a browser lays it out, in CSS pixels."""

    width: float
    height: float
    drawn: Sequence[tuple[float, float]]
    """Width and height of each of its SVGs and images."""
    text_px: float | None
    """Height of its smallest letters; None: it has no text."""
    texts: Sequence[str]
    outside: Sequence[str]
    """Texts that an edge of their SVG cuts."""
    faint: Sequence[str]
    """Texts, and colours of lines, that are hardly seen on the page: a colour that is not of the style."""
    clipped: int
    """SVGs that reach out of it."""


@dataclass(frozen=True, kw_only=True)
class SeenPage:
    """What a browser makes of a page."""

    title: str
    errors: Sequence[str]
    """Errors of scripts, and errors and warnings on the console."""
    requests: Sequence[str]
    """Addresses it asked for, other than itself and what is in it."""
    figures: Mapping[str, SeenFigure]
    """By anchor."""
    overflow_px: float
    """How much wider than the window it is; above 0 it scrolls sideways."""
    double_ids: Sequence[str]
    dead_references: Sequence[str]
    """Anchors that something refers to and that are not there."""
    background: str


class Browser:
    """A browser without a network; one start (a second of a core) serves many pages."""

    def __init__(self, started: Any) -> None:
        self._started = started

    def look(self, path: Path, *, width: int = 1100, theme: str = "light", screenshot: Path | None = None) -> SeenPage:
        """Open a file and say what is there; ``screenshot`` is a PNG file to write, of the whole page."""
        context = self._started.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, offline=True, reduced_motion="reduce"
        )
        try:
            errors: list[str] = []
            requests: list[str] = []
            context.set_default_timeout(_PATIENCE_MS)  # screenshots have one, too
            tab = context.new_page()
            tab.on("pageerror", lambda error: errors.append(str(error)))
            tab.on("console", lambda said: errors.append(said.text) if said.type in ("error", "warning") else None)
            address = path.resolve().as_uri()
            tab.on("request", lambda asked: requests.append(asked.url))
            tab.goto(address, wait_until="load", timeout=_PATIENCE_MS)
            found = tab.evaluate(_LOOK)
            if screenshot is not None:
                screenshot.parent.mkdir(parents=True, exist_ok=True)
                tab.screenshot(path=str(screenshot), full_page=True)
        finally:
            context.close()
        return SeenPage(
            title=found["title"],
            errors=errors,
            requests=[each for each in requests if each != address and not each.startswith("data:")],
            figures={name: _figure(each) for name, each in found["figures"].items()},
            overflow_px=found["overflow_px"],
            double_ids=found["double_ids"],
            dead_references=found["dead_references"],
            background=found["background"],
        )


def _figure(found: Mapping[str, Any]) -> SeenFigure:
    return SeenFigure(
        width=found["box"][0],
        height=found["box"][1],
        drawn=[(width, height) for width, height in found["drawn"]],
        text_px=found["text_px"],
        texts=found["texts"],
        outside=found["outside"],
        faint=found["faint"],
        clipped=found["clipped"],
    )


def chromium() -> str | None:
    """Return the path of this machine's Chromium; None: it has none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def started_browser() -> Iterator[Browser]:
    """Start a browser, and end it afterwards; skip the test where there is none."""
    path = chromium()
    if path is None:
        pytest.skip(NO_CHROMIUM)
    from playwright.sync_api import sync_playwright  # slow to import, and only this wants it

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path, args=list(_FLAGS), chromium_sandbox=False, timeout=_PATIENCE_MS
        )
        try:
            yield Browser(started)
        finally:
            started.close()


def assert_good_page(browser: Browser, path: Path, names: Sequence[str]) -> None:
    """Check a page at both widths in both themes.

    No errors, no request, no sideways scrolling; exactly the named pictures are there, each with something drawn and
    with texts that can be read.
    """
    assert names, "a page without pictures proves nothing"
    backgrounds = set()
    for width in WIDTHS:
        for theme in THEMES:
            seen = browser.look(path, width=width, theme=theme)
            where = f"{path.name} at {width} px, {theme}"
            assert not seen.requests, f"{where} asks for {seen.requests}"
            assert not seen.errors, f"{where}: {seen.errors}"
            assert seen.overflow_px <= 0, f"{where} is {seen.overflow_px} px wider than the window"
            assert not seen.double_ids, f"{where} has the same id twice: {seen.double_ids}"
            assert not seen.dead_references, f"{where} refers to what is not there: {seen.dead_references}"
            assert list(seen.figures) == list(names), f"{where} has the pictures {list(seen.figures)}"
            for name, figure in seen.figures.items():
                _assert_readable(figure, f"{where}, picture {name}", LEAST_TEXT_PX[width])
            backgrounds.add((theme, seen.background))
    assert len({colour for _, colour in backgrounds}) == len(THEMES), f"themes look alike: {backgrounds}"


def _assert_readable(figure: SeenFigure, where: str, least_px: float) -> None:
    assert figure.drawn, f"{where}: nothing is drawn"
    assert all(width > 50 and height > 30 for width, height in figure.drawn), f"{where}: {figure.drawn}"
    assert not figure.outside, f"{where}: the edge cuts {figure.outside}"
    assert not figure.faint, f"{where} is hardly seen: {figure.faint}"
    assert figure.clipped == 0, f"{where} reaches out of the page"
    if figure.text_px is not None:
        assert figure.text_px >= least_px, f"{where} has letters of {figure.text_px:.1f} px"


def _write_screenshots(page: Path, folder: Path) -> None:
    with started_browser() as browser:
        for width in WIDTHS:
            for theme in THEMES:
                path = folder / f"{page.stem}-{width}-{theme}.png"
                browser.look(page, width=width, theme=theme, screenshot=path)
                print(path)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m tests.support.browser PAGE.html FOLDER")
    if chromium() is None:
        sys.exit(NO_CHROMIUM)
    _write_screenshots(Path(sys.argv[1]), Path(sys.argv[2]))
