"""A page and its pictures on the disk."""

from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.report.page.blocks import Page
from esmm_dist.report.page.html_page import html_of
from esmm_dist.report.page.writing import write_html, write_pngs
from tests.support.sample_page import sample_page


def test_a_page_is_written_over_an_earlier_one_in_folders_that_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new/page.html"
    assert write_html(Page(title="First", subtitle=""), path) == path.stat().st_size
    write_html(Page(title="Second", subtitle=""), path)
    assert path.read_text(encoding="utf-8") == html_of(Page(title="Second", subtitle=""))
    assert [each.name for each in path.parent.iterdir()] == ["page.html"]


def test_each_picture_is_a_file_of_its_name(tmp_path: Path) -> None:
    page = sample_page()
    few = Page(title=page.title, subtitle="", sections=page.sections[-1:])
    (path,) = write_pngs(few, tmp_path / "png")
    assert path == tmp_path / "png/multiples.png"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_page_that_cannot_be_written_leaves_the_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    with pytest.raises(ConfigError, match="is a file, not a folder"):
        write_html(Page(title="t", subtitle=""), tmp_path / "file/page.html")
