"""A page on the disk."""

from pathlib import Path

from esmm_dist.report.page.blocks import Page
from esmm_dist.report.page.html_page import html_of
from esmm_dist.report.page.places import check_places
from esmm_dist.storage.whole_file import write_durable


def write_html(page: Page, path: Path) -> int:
    """Write a page, over that of an earlier time, and return its bytes.

    Raises:
        ConfigError: The file is there, and is no page.
        OSError: The disk refuses; an earlier page stays.
    """
    check_places(path, None)
    data = html_of(page).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durable(path, data)
    return len(data)


def write_pngs(page: Page, folder: Path) -> list[Path]:
    """Write each picture of a page as ``FOLDER/NAME.png``, and return the files.

    Raises:
        OSError: The disk refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for picture in page.pictures():
        path = folder / f"{picture.name}.png"
        write_durable(path, picture.png())
        paths.append(path)
    return paths
