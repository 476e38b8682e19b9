"""A PNG holds the title and how to read it, because it is sent alone."""

import io

import numpy as np
import pytest
from PIL import Image

from esmm_dist.arrays import Array
from esmm_dist.report.pictures.panels import PANEL_INCHES, new_figure
from esmm_dist.report.pictures.png_file import plain_png, titled_png

LONG = "This sentence says what the picture shows and goes on for so long that it needs a second line and a third one."


def pixels(data: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


def rows_with_ink(found: Array) -> int:
    return int((found < 200).any(axis=1).sum())


def test_the_figure_stands_between_its_texts() -> None:
    figure, axes = new_figure()
    axes[0, 0].plot([0, 1], [0, 1])
    plain, titled = pixels(plain_png(figure)), pixels(titled_png(figure, "Short.", "Short."))
    assert plain.shape[1] == titled.shape[1] == int(PANEL_INCHES[0] * 130)
    top = next(at for at in range(100) if (titled[at : at + len(plain)] == plain).all())
    assert rows_with_ink(titled[:top]) > 5
    assert rows_with_ink(titled[top + len(plain) :]) > 5


def test_long_texts_take_more_lines_inside_the_picture() -> None:
    figure, _ = new_figure()
    short, long = pixels(titled_png(figure, "Short.", "Short.")), pixels(titled_png(figure, LONG, LONG))
    assert len(long) > len(short) + 40
    assert (long[:60, -8:] > 250).all()  # no letter of the title reaches the right edge


@pytest.mark.parametrize("text", ["$\\frac{.", "日本語.", "x" * 300 + ".", "<b>&amp;</b>.", ""])
def test_any_text_gives_a_picture(text: str) -> None:
    assert rows_with_ink(pixels(titled_png(new_figure()[0], text, text))) > 0


def test_the_same_figure_gives_the_same_bytes() -> None:
    figure, _ = new_figure()
    size = figure.dpi
    assert titled_png(figure, LONG, LONG) == titled_png(figure, LONG, LONG)
    assert figure.dpi == size
