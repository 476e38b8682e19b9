"""A page with every kind of block, drawn by every helper of pictures, whose texts are hostile.

``python -m tests.support.sample_page FOLDER`` writes it and its PNG files, and says what that takes.
"""

import functools
import math
import sys
import time
from pathlib import Path

import numpy as np

from esmm_dist.report.page.blocks import Page, PageTable, Paragraph, Section
from esmm_dist.report.page.html_page import html_of
from esmm_dist.report.page.writing import write_html, write_pngs
from esmm_dist.report.pictures.bars import bars_height, grouped_bars, horizontal_bars
from esmm_dist.report.pictures.histograms import class_histogram
from esmm_dist.report.pictures.lines import event_marks, legend_above, line_with_band
from esmm_dist.report.pictures.numbers_shown import decimal, percent, show_percent, show_whole, whole
from esmm_dist.report.pictures.panels import new_figure, small_multiples
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.style import bar_of, line_of

HOSTILE = {
    "<script>alert(1)</script>": "<script>alert(1)</script>",
    "&amp;": "&amp;",
    "two\nlines\x1b[31m": "two\\nlines\\x1b[31m",
    "x" * 200: "x" * 27 + "…",
    "$\\frac{": "$\\frac{",
    "_hidden": "_hidden",
    "日本語 😀": "日本語 😀",
    'fill: #0072b2"': 'fill: #0072b2"',
}
"""Texts of fields and values, and how a picture shows them."""


def sample_page() -> Page:
    """Return the page."""
    rows = [[text, whole(1000 * i), percent(i / 30)] for i, text in enumerate([*HOSTILE] * 4)]
    table = PageTable(
        title="Every field <b> has a row.",
        head=["field", "impressions", "share"],
        rows=rows,
        how_to_read="A bar is the share.",
        bars={2: [math.nan, *(i / len(rows) for i in range(1, len(rows)))]},
    )
    folded = PageTable(title="Folded rows.", head=["field", "impressions", "share"], rows=rows[:3], folded=True)
    return Page(
        title="A page <script>alert(2)</script>",
        subtitle="esmm report " + "x" * 150,
        facts=[("impressions", whole(1234567)), ("path", "y" * 90)],
        sections=[
            Section(
                heading="Lines", lead="What a training did.", blocks=[_curves(), _wide(), Paragraph(text="A <b>.")]
            ),
            Section(heading="Bars", blocks=[_bars(), _classes(), _groups(), table, folded]),
            Section(
                heading="Many",
                blocks=[
                    _multiples(),
                    Paragraph(text="Mind <i>.", kind="warning"),
                    Paragraph(text="esmm stats data " * 20, kind="code"),
                ],
            ),
        ],
    )


@functools.cache
def sample_html() -> str:
    """Return the text of its file, which takes a second to write."""
    return html_of(sample_page())


def _picture(name: str, figure: object) -> Picture:
    return Picture(
        name=name,
        title=f"Picture {name} shows <script>alert(3)</script>.",
        how_to_read="A mark is a number.",
        figure=figure,  # type: ignore[arg-type]
        numbers={"drawn": 1},
    )


def _curves() -> Picture:
    figure, axes = new_figure(columns=2)
    steps = np.arange(0, 20_000, 400)
    for panel, name in zip(axes.flat, ("click", "_hidden"), strict=True):
        for place in range(3):
            values = 0.6 + 0.1 * place + 0.1 * (1 - np.exp(-steps / 5000))
            line_with_band(panel, steps, values, np.full(len(steps), 0.01), place=place, label=f"_$task$ {place}")
        panel.set_title(name)
        panel.set_xlabel("training step")
        panel.set_ylabel("AUC")
        show_whole(panel.xaxis)
        event_marks(panel, [(2000, "join"), (2100, "loss"), (9000, "join"), (15_000, "restart <i>")])
        legend_above(panel)
    return _picture("curves", figure)


def _wide() -> Picture:
    figure, axes = new_figure(width=2)
    times = np.geomspace(1, 1e6, 50)
    axes[0, 0].plot(times, 1 / times, **line_of(0))
    axes[0, 0].set_xscale("log")
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_xlabel("occurrences")
    axes[0, 0].set_ylabel("share of ids")
    return _picture("wide", figure)


def _bars() -> Picture:
    names = [*HOSTILE, *(f"field_{i}" for i in range(15))]
    drops = [math.nan, *np.geomspace(8, 0.1, len(names) - 2), -0.4]
    figure, axes = new_figure(width=1.3, height=bars_height(len(names)))
    horizontal_bars(axes[0, 0], names, drops, errors=[0.2] * len(names), text_of=lambda drop: decimal(drop, 2))
    axes[0, 0].set_xlabel("loss of AUC when permuted")
    axes[0, 0].set_ylabel("field")
    return _picture("bars", figure)


def _classes() -> Picture:
    figure, axes = new_figure()
    edges = np.linspace(-8, 2, 41)
    class_histogram(axes[0, 0], edges, [("not clicked", np.arange(40)[::-1]), ("clicked", np.arange(40))])
    axes[0, 0].set_xlabel("logit of the prediction")
    axes[0, 0].set_ylabel("share of the class")
    legend_above(axes[0, 0])
    return _picture("classes", figure)


def _groups() -> Picture:
    figure, axes = new_figure(height=bars_height(5, 3))
    series = {name: [0.9 - 0.1 * i - 0.05 * k for i in range(5)] for k, name in enumerate(("train", "valid", "test"))}
    grouped_bars(axes[0, 0], [f"field {i}" for i in range(5)], series, text_of=percent)
    axes[0, 0].set_xlabel("share of impressions")
    axes[0, 0].set_ylabel("field")
    show_percent(axes[0, 0].xaxis)
    legend_above(axes[0, 0])
    return _picture("groups", figure)


def _multiples() -> Picture:
    figure, panels = small_multiples(5, sharex=True, sharey=True, height=0.8)
    for place, panel in enumerate(panels):
        panel.bar(range(10), [(place + 3) * (i % 4) for i in range(10)], **bar_of(place))
        panel.set_title(f"field {place}")
        panel.set_xlabel("list length")
        panel.set_ylabel("impressions")
    return _picture("multiples", figure)


def _measure(folder: Path) -> None:
    """Write the page and its PNG files to a folder, and print what that takes."""
    write_html(sample_page(), folder / "page.html")  # the first one imports and reads fonts
    page = sample_page()
    started = time.process_time()
    size = write_html(page, folder / "page.html")
    written = time.process_time()
    paths = write_pngs(page, folder)
    pngs = time.process_time()
    panels = sum(len(each.svgs()) for each in page.pictures())
    print(f"page of {len(paths)} pictures, {panels} panels: {size:,} bytes, {written - started:.2f} CPU-s")
    print(f"PNG files: {sum(path.stat().st_size for path in paths):,} bytes, {pngs - written:.2f} CPU-s")


if __name__ == "__main__":
    _measure(Path(sys.argv[1]))
