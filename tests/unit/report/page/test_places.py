"""A page replaces a page alone."""

from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.report.page.blocks import Page
from esmm_dist.report.page.places import check_places
from esmm_dist.report.page.writing import write_html


@pytest.mark.parametrize("text", ["row,click\n1,0\n", "{}", "name: schema\n"])
def test_a_log_a_manifest_or_a_schema_is_not_written_over(tmp_path: Path, text: str):
    path = tmp_path / "there"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"html is .*there, a file that holds no page: it is not written over\. Name"):
        write_html(Page(title="t", subtitle=""), path)
    assert path.read_text() == text


def test_a_new_place_an_empty_file_and_an_earlier_page_are_taken(tmp_path: Path):
    (tmp_path / "empty.html").touch()
    write_html(Page(title="t", subtitle=""), tmp_path / "page.html")
    for name in ("empty.html", "page.html", "new/folder/page.html"):
        check_places(tmp_path / name, tmp_path / "pictures")
    check_places(None, tmp_path)
    check_places(None, None)


def test_a_folder_or_a_file_in_the_way_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    for places, told in (
        ((tmp_path, None), "html is .*, which is not a file. Name a file, such as"),
        ((Path("/dev/null"), None), "html is /dev/null, which is not a file"),
        ((tmp_path / "file/page.html", None), "html is .*page.html, and .*file is a file, not a folder. Name another"),
        ((None, tmp_path / "file/deep/er"), "png is .*er, and .*file is a file, not a folder. Name another"),
        ((None, tmp_path / "file"), "png is .*file, which is a file. Name a folder"),
    ):
        with pytest.raises(ConfigError, match=told):
            check_places(*places)
