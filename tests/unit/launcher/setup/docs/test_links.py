"""READMEs lead where they say, and the site shows them as GitHub does."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.unit.launcher.setup.docs.markdown import ROOT, Text, all_texts, dead_links

TEXTS = all_texts()
NAMES = [str(text.path) for text in TEXTS]
SITE = ROOT / "launcher/setup/docs/mkdocs.yml"


def text_of(markdown: str, path: str = "launcher/README.md") -> Text:
    return Text(path=Path(path), text=markdown)


def test_all_components_have_their_page():
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "k8s/README.md", "preprocess/README.md"} <= set(NAMES)


@pytest.mark.parametrize("text", TEXTS, ids=NAMES)
def test_no_link_is_dead(text: Text):
    assert list(dead_links(text)) == []


@pytest.mark.parametrize(
    ("markdown", "dead"),
    [
        ("[a](driver/README.md) [b](cli.py) [c](driver) [d](https://example.org/nothing)", []),
        ("[a](nothing.md)", ["nothing.md"]),
        ("[a](../k8s/README.md#rights)", []),
        ("[a](../k8s/README.md#wrongs)", ["../k8s/README.md#wrongs"]),
        ("[a](#here)\n\n## Here\n", []),  # of the page itself, which is not on the disk under this text
        ("[a](cli.py#L10)", ["cli.py#L10"]),  # lines move
        ("[a](../../etc/passwd)", ["../../etc/passwd"]),  # outside of the repository
        ("`[a](nothing.md)`\n\n```\n[b](nothing.md)\n```\n", []),  # code
        ("[a [b] c](nothing.md)", ["nothing.md"]),
    ],
)
def test_a_dead_link_is_told_from_a_living_one(markdown: str, dead: list[str], tmp_path: Path):
    text = text_of(markdown)
    if "#here" in markdown:
        assert text.anchors() == {"here"}
        return
    assert list(dead_links(text)) == dead


def test_anchors_are_those_of_github():
    headings = (
        "# One: two, three\n## `esmm local`\n## Again\n### Again\n```\n# no heading\n```\n## What's an `a_b` - c?\n"
    )
    assert text_of(headings).anchors() == {"one-two-three", "esmm-local", "again", "again-1", "whats-an-a_b---c"}


@pytest.mark.parametrize("text", TEXTS, ids=NAMES)
def test_files_that_a_readme_names_exist(text: Text):
    missing = [name for name in text.named_files() if not any(f"/{file}".endswith(f"/{name}") for file in files())]
    assert [name for name in missing if name not in MADE_BY_USERS] == []


@cache
def files() -> list[str]:
    folders = ("esmm_dist", "preprocess", "launcher", "k8s", "tests")
    found = [*ROOT.glob("*"), *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    return [path.relative_to(ROOT).as_posix() for path in found if path.is_file()]


MADE_BY_USERS = {
    ".local.lock",
    "RULES.md",
    "assets.extra/RULES.md",
    "assets.extra/esmm_client.py",
    "best.yaml",
    "comparison.md",
    "config.yaml",
    "job.yaml",
    "models/esmm/train.yaml",
    "TASK.yaml",
    "my-log.yaml",
    "schema.yaml",
    "shop.yaml",
    "train.yaml",
    "wide.yaml",
}
"""Files of runs and users, which READMEs speak of."""


@pytest.mark.parametrize("text", TEXTS, ids=NAMES)
def test_a_list_begins_after_an_empty_line(text: Text):
    assert text.lists_in_paragraphs() == []


def test_a_list_within_a_paragraph_is_found():
    assert text_of("Not promised:\n- this\n- that\n").lists_in_paragraphs() == ["Not promised:"]
    assert text_of("Not promised:\n\n- this,\n  indented\n- that\n\n| a |\n").lists_in_paragraphs() == []


def test_every_readme_and_notebook_stands_in_the_navigation_of_the_site_once():
    notebooks = [path.with_suffix(".md").relative_to(ROOT).as_posix() for path in (ROOT / "esmm_dist").rglob("*.ipynb")]
    assert notebooks
    navigation = SITE.read_text(encoding="utf-8").partition("\nnav:")[2].partition("\n\n")[0]
    assert sorted(re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)) == sorted([*NAMES, *notebooks])
