"""The text of a page's file."""

import html
import re
from html.parser import HTMLParser

import pytest

from esmm_dist.report.page.blocks import Page, PageTable, Paragraph, Section
from esmm_dist.report.page.html_page import MOST_BYTES, html_of
from esmm_dist.report.pictures.panels import new_figure
from esmm_dist.report.pictures.picture import Picture
from esmm_dist.report.pictures.style import DARK
from tests.support.sample_page import HOSTILE, sample_html, sample_page


class Tags(HTMLParser):
    """Collects the tags of a text, and finds those that are not closed in order."""

    VOID = frozenset({"meta", "input", "img", "use", "path", "rect", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.all: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text() -> str:
    return sample_html()


def test_tags_are_closed_in_their_order(text: str) -> None:
    tags = Tags(text)
    assert tags.open == []
    assert sum(tag == "figure" for tag, _ in tags.all) == 6


def test_there_is_no_script_and_no_address_of_a_network(text: str) -> None:
    names = {tag for tag, _ in Tags(text).all}
    assert not names & {"script", "iframe", "object", "embed", "link", "foreignobject"}
    for _, attributes in Tags(text).all:
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"https?://|@import|url\((?!#)", text)


def test_what_is_html_in_texts_is_shown_as_it_stands(text: str) -> None:
    for each in ("<script>alert(1)</script>", "<script>alert(2)</script>", "A <b>."):
        assert html.escape(each) in text
    assert "<script" not in text


def test_texts_do_not_print_what_does_not_print(text: str) -> None:
    assert "two\\nlines\\x1b[31m" in text
    assert any("\x1b" in each for each in HOSTILE)
    assert "\x1b" not in text


def test_the_same_page_gives_the_same_bytes(text: str) -> None:
    assert html_of(sample_page()) == text


def test_every_colour_has_its_values_for_both_themes(text: str) -> None:
    for colour, dark in DARK.items():
        assert f"--x{colour[1:]}: {colour};" in text
        assert f"--x{colour[1:]}: {dark};" in text
    assert {name for name in re.findall(r"var\(--x([0-9a-f]{6})\)", text)} <= {colour[1:] for colour in DARK}


def test_no_tag_keeps_a_colour_of_the_light_page(text: str) -> None:
    styles = [attributes.get("style") or "" for _, attributes in Tags(text).all]
    assert any("var(--x1b1f24)" in style for style in styles)
    for colour in DARK:
        assert not [style for style in styles if colour in style], colour


def test_print_is_light_whatever_the_theme(text: str) -> None:
    printed = text[text.index("@media print") :]
    assert printed.index("color-scheme: light") < printed.index("</style>")


def test_pictures_and_tables_have_names_for_those_who_do_not_see_them(text: str) -> None:
    tags = Tags(text).all
    drawn = [attributes for _, attributes in tags if attributes.get("role") == "img"]
    assert len(drawn) == 6
    assert all((each["aria-label"] or "").endswith(".") for each in drawn)
    regions = [attributes for _, attributes in tags if attributes.get("role") == "region"]
    assert [each["aria-label"] for each in regions] == ["Every field <b> has a row.", "Folded rows."]
    headings = [tag for tag, _ in tags if tag in ("h1", "h2", "h3")]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1


def test_what_scrolls_can_be_reached_by_keys(text: str) -> None:
    for tag, attributes in Tags(text).all:
        scrolls = {"scroll", "wide"} & set((attributes.get("class") or "").split()) or tag == "pre"
        assert not scrolls or attributes["tabindex"] == "0"


def scatter(name: str, points: int) -> Picture:
    figure, axes = new_figure()
    axes[0, 0].scatter(range(points), [i * i % 97 for i in range(points)])
    axes[0, 0].set_xlabel("impression")
    axes[0, 0].set_ylabel("logit")
    return Picture(name=name, title="It is so.", how_to_read="A dot.", figure=figure, numbers={"points": points})


def test_a_page_that_grows_too_large_has_its_largest_pictures_as_png() -> None:
    pictures = [scatter("few", 20), scatter("most", 2500), scatter("many", 2000)]
    page = Page(title="Large", subtitle="", sections=[Section(heading="h", blocks=pictures)])
    size = len(html_of(page).encode())
    smaller = html_of(page, size - 1)
    assert len(smaller.encode()) < size
    figures = dict(re.findall(r'<figure id="([^"]+)">(.*?)</figure>', smaller, re.DOTALL))
    assert {name for name, text in figures.items() if 'src="data:image/png;base64,' in text} == {"most"}
    assert html_of(page, len(smaller.encode()) - 1).count("data:image/png") == 2
    assert html_of(page, len(smaller.encode())) == smaller


def test_a_page_that_is_too_large_even_so_is_refused() -> None:
    rows = [["x" * 90, str(i)] for i in range(MOST_BYTES // 100)]
    table = PageTable(title="All ids.", head=["id", "times"], rows=rows)
    page = Page(title="Large", subtitle="", sections=[Section(heading="h", blocks=[table])])
    with pytest.raises(ValueError, match="Page 'Large' has .* at most 5,000,000 are allowed. Leave out tables"):
        html_of(page)


def test_a_page_of_little_is_a_page() -> None:
    page = Page(title="Little", subtitle="", sections=[Section(heading="Only", blocks=[Paragraph(text="Nothing.")])])
    text = html_of(page)
    assert "<nav" not in text
    assert "facts" not in text[text.index("<body>") :]
    assert '<p class="text">Nothing.</p>' in text
