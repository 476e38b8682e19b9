"""The pictures of pages in READMEs: small files, of the form that their command writes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.browser import started_browser
from tests.support.readme_pictures import HEIGHT_PX, MOST_BYTES, PAGES, WIDTH_PX, write_picture

EXAMPLES = Path(__file__).parents[4] / "esmm_dist" / "report" / "examples"


@pytest.mark.parametrize("name", PAGES)
def test_a_picture_in_the_repository_is_small(name):
    path = EXAMPLES / f"{name}.png"
    assert 0 < path.stat().st_size <= MOST_BYTES
    with Image.open(path) as image:
        assert image.size == (WIDTH_PX, HEIGHT_PX)


def test_the_beginning_of_a_page_is_written_in_its_colours(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<body style='margin:0;background:#0072b2'><div style='height:3000px'></div></body>")
    with started_browser() as browser:
        size = write_picture(browser, page, tmp_path / "out" / "page.png")
    assert size == (tmp_path / "out" / "page.png").stat().st_size
    with Image.open(tmp_path / "out" / "page.png") as image:
        assert image.size == (WIDTH_PX, HEIGHT_PX)
        assert np.asarray(image.convert("RGB"))[500, 400].tolist() == [0x00, 0x72, 0xB2]
