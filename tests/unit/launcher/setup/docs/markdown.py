"""What the tests of the READMEs read in them: links, headings, names of files. Pure text, no build."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[5]
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_FILE = re.compile(r"`([\w./-]+\.(?:py|md|ya?ml|sh|toml|lock|txt))`")
_LIST_IN_PARAGRAPH = re.compile(r"^(?![-#|>\s]|\d+\. )[^\n]+\n(?=(?:- |\d+\. ))", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Text:
    """A Markdown file of the repository.

    Attributes:
        path: from the repository's root
        text: its Markdown
    """

    path: Path
    text: str

    def links(self) -> list[str]:
        """Return the targets of all links, outside of code."""
        return _LINK.findall(_CODE.sub("", _FENCE.sub("", self.text)))

    def anchors(self) -> set[str]:
        """Return what links may name after ``#``: the headings, written as GitHub does."""
        found: list[str] = []
        for heading in _HEADING.findall(_FENCE.sub("", self.text)):
            slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
        return set(found)

    def named_files(self) -> list[str]:
        """Return the files that the text names in code."""
        return _FILE.findall(_FENCE.sub("", self.text))

    def lists_in_paragraphs(self) -> list[str]:
        """Return the lines after which a list begins without an empty line between: the site shows no list there."""
        return [line.strip() for line in _LIST_IN_PARAGRAPH.findall(_FENCE.sub("```", self.text))]


def dead_links(text: Text) -> Iterator[str]:
    """Yield the links of a text that lead nowhere in the repository. Other hosts are not asked."""
    for link in text.links():
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / text.path.parent / name).resolve() if name else ROOT / text.path
        has_anchor = not anchor or (target.suffix == ".md" and anchor in anchors_of(target))
        if not (target.is_relative_to(ROOT) and target.exists() and has_anchor):
            yield link


@cache
def anchors_of(path: Path) -> set[str]:
    """Return the anchors of a Markdown file that may be missing."""
    return Text(path=path, text=path.read_text(encoding="utf-8")).anchors() if path.is_file() else set()


def all_texts() -> list[Text]:
    """Return every Markdown file of the repository."""
    folders = ("esmm_dist", "preprocess", "launcher", "k8s", "tests")
    paths = [*ROOT.glob("*.md"), *(path for folder in folders for path in (ROOT / folder).rglob("*.md"))]
    return [Text(path=path.relative_to(ROOT), text=path.read_text(encoding="utf-8")) for path in sorted(paths)]
