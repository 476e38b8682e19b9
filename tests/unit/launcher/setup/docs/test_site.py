"""`make docs`: a site of all READMEs and docstrings, in which a search finds both."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from launcher.setup.docs.pages import ROOT, api_pages, on_page_markdown, texts


class PageAt:
    """A page of the site, of which only its place is asked."""

    def __init__(self, src_uri: str) -> None:
        self.file = self
        self.src_uri = src_uri


def in_site(markdown: str, src_uri: str) -> str:
    return on_page_markdown(markdown, PageAt(src_uri), None, None)  # type: ignore[arg-type]


def test_each_package_has_an_api_page_with_all_its_modules():
    pages = api_pages()
    folders = {path.parent.relative_to(ROOT) for path in ROOT.glob("esmm_dist/**/__init__.py")}
    assert {f"api/{'.'.join(folder.parts)}.md" for folder in folders} <= set(pages)
    assert "::: esmm_dist.schema.feature_id\n" in pages["api/esmm_dist.schema.md"]


def test_every_text_is_a_page_where_it_stands_in_the_repository():
    found = [path.as_posix() for path in texts()]
    assert len(found) == len(set(found))
    assert {"README.md", "CONTRIBUTING.md", "k8s/README.md", "tests/fuzz/README.md"} <= set(found)
    assert not [path for path in found if path.startswith((".venv", "build"))]


@pytest.mark.parametrize(
    ("link", "src_uri", "there"),
    [
        (
            "[a](format.py)",
            "esmm_dist/checkpoint/README.md",
            "../../api/esmm_dist.checkpoint.md#esmm_dist.checkpoint.format",
        ),
        ("[a](esmm_dist/errors.py)", "README.md", "api/esmm_dist.md#esmm_dist.errors"),
        ("[a](terminal/__init__.py)", "launcher/README.md", "../api/launcher.terminal.md"),
        ("[a](conftest.py)", "tests/README.md", "conftest.py"),  # a copy: tests have no API pages
        ("[a](../k8s/README.md#rights)", "launcher/README.md", "../k8s/README.md#rights"),  # a page stays a page
        ("[a](https://example.org/b.py)", "README.md", "https://example.org/b.py"),
    ],
)
def test_a_link_to_python_leads_to_its_docstrings(link: str, src_uri: str, there: str):
    assert in_site(link, src_uri) == f"[a]({there})"


def test_code_is_left_as_it_is():
    fenced = "```\n[a](format.py)\n```"
    assert in_site(fenced, "esmm_dist/checkpoint/README.md") == fenced


MODULE = '"""Adds."""\n\n\ndef add(a: int) -> int:\n    """Add.\n\n    Args:\n        a: number\n    """\n'


def built(root: Path, readme: str, module: str) -> subprocess.CompletedProcess[str]:
    """Build the site of a repository with one README and one module, in which all else is as in this one."""
    docs = shutil.copytree(ROOT / "launcher/setup/docs", root / "launcher/setup/docs")
    settings = docs / "mkdocs.yml"
    before, _, after = settings.read_text(encoding="utf-8").partition("\nnav:")
    settings.write_text(f"{before}\nnav: [README.md]\n\n{after.partition(2 * chr(10))[2]}", encoding="utf-8")
    for package in ("esmm_dist", "preprocess", "launcher"):
        (root / package).mkdir(exist_ok=True)
        (root / package / "__init__.py").write_text('"""A package."""\n')
    (root / "esmm_dist/adding.py").write_text(module)
    (root / "README.md").write_text(readme)
    (root / ".venv").symlink_to(ROOT / ".venv")
    build = ["sh", "launcher/setup/docs/build.sh"]
    return subprocess.run(build, cwd=root, capture_output=True, text=True)


def test_a_readme_and_a_docstring_without_faults_become_a_site(tmp_path: Path):
    done = built(tmp_path, "# Title\n\n[code](esmm_dist/adding.py)\n", MODULE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("The documentation is in build/docs.")
    assert 'href="api/esmm_dist.html#esmm_dist.adding"' in (tmp_path / "build/docs/index.html").read_text()


@pytest.mark.parametrize(
    ("readme", "module", "complaint"),
    [
        ("# Title\n\n[part](#nowhere)\n", MODULE, "#nowhere"),
        (
            "# Title\n",
            MODULE.replace("a: number", "b: number"),
            "Parameter 'b' does not appear in the function signature",
        ),
    ],
)
def test_a_warning_is_an_error(readme: str, module: str, complaint: str, tmp_path: Path):
    done = built(tmp_path, readme, module)
    assert done.returncode == 1
    assert complaint in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)  # 15 s of CPU time
def test_the_site_is_built_without_a_warning_and_a_search_finds_readmes_and_docstrings(tmp_path: Path):
    # A stand-in of TensorFlow that cannot be imported: docstrings are read, not run.
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('TensorFlow was imported')\n")
    done = subprocess.run(
        ["sh", "launcher/setup/docs/build.sh", str(tmp_path / "site")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    index = json.loads((tmp_path / "site/search/search_index.json").read_text(encoding="utf-8"))
    places = {document["location"].partition("#")[0] for document in index["docs"]}
    assert {"index.html", "k8s/index.html", "api/esmm_dist.embedding.html"} <= places
    assert (tmp_path / "site/esmm_dist/schema/presets/flat-example.yaml").exists()  # a README links to it
    assert "unpkg" not in (tmp_path / "site/index.html").read_text(encoding="utf-8")  # asks no other host
