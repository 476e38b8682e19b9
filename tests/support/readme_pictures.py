"""The beginning of the demo's pages as small PNG files, for READMEs.

``python -m tests.support.readme_pictures DEMO FOLDER`` (``make pictures`` after ``make demo``) writes ``data.png`` and
``run.png``.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.support.browser import NO_CHROMIUM, Browser, chromium, started_browser

PAGES = ("data", "run")
WIDTH_PX, HEIGHT_PX = 900, 1420
MOST_BYTES = 120_000
_COLOURS = 160
"""Few flat colours: a palette of so many cannot be told from the page, at half the bytes."""


def write_picture(browser: Browser, page: Path, path: Path) -> int:
    """Write the beginning of a page in its light colours, and return the bytes."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.png"
        browser.look(page, width=WIDTH_PX, screenshot=whole)
        with Image.open(whole) as image:
            screen = image.convert("RGB").crop((0, 0, WIDTH_PX, min(HEIGHT_PX, image.height)))
    path.parent.mkdir(parents=True, exist_ok=True)
    screen.quantize(_COLOURS, dither=Image.Dither.NONE).save(path, format="png", optimize=True)
    return path.stat().st_size


def _write_all(demo: Path, folder: Path) -> None:
    with started_browser() as browser:
        for name in PAGES:
            size = write_picture(browser, demo / f"{name}.html", folder / f"{name}.png")
            print(f"{folder / name}.png: {size:,} bytes")
            if size > MOST_BYTES:
                sys.exit(f"{name}.png is larger than {MOST_BYTES:,} bytes.")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m tests.support.readme_pictures DEMO FOLDER")
    if chromium() is None:
        sys.exit(NO_CHROMIUM)
    _write_all(Path(sys.argv[1]), Path(sys.argv[2]))
