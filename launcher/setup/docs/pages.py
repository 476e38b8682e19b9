"""Gathers the pages of the documentation site: READMEs and notebooks where they stand, a page of docstrings a package.

mkdocs calls the functions ``on_...`` while it builds the site (see ``mkdocs.yml``). Links lead from page to page as in
the repository; a link to a module leads to its docstrings, and one to another file to a copy of that file.
"""

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[3]
PACKAGES = ("esmm_dist", "preprocess", "launcher")
LINK = re.compile(r"(?<=\]\()(?P<path>[^)#\s:]+)(?P<anchor>#[^)\s]*)?(?=\))")
FENCE = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)


def texts() -> Iterator[Path]:
    """Yield the Markdown files of the repository, relative to its root."""
    yield from (Path(path.name) for path in sorted(ROOT.glob("*.md")))
    for folder in (*PACKAGES, "k8s", "tests"):
        yield from (path.relative_to(ROOT) for path in sorted((ROOT / folder).rglob("README.md")))


def api_pages() -> dict[str, str]:
    """Return the API pages: the name of each in the site and its Markdown."""
    pages = {}
    for init in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("__init__.py")):
        folder = init.parent.relative_to(ROOT)
        package = ".".join(folder.parts)
        modules = sorted(path.stem for path in init.parent.glob("*.py") if not path.stem.startswith("__"))
        lines = [f"# {package}", f"::: {package}\n    options:\n      members: false\n      show_root_heading: false"]
        lines += [f"::: {package}.{module}" for module in modules]
        pages[f"api/{package}.md"] = "\n\n".join(lines) + "\n"
    return pages


def notebook_pages() -> dict[str, str]:
    """Return the pages of the notebooks: the name of each in the site and its Markdown."""
    found = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.ipynb"))
    return {path.relative_to(ROOT).with_suffix(".md").as_posix(): notebook_markdown(path) for path in found}


def notebook_markdown(path: Path) -> str:
    """Return a notebook as Markdown: its texts, its code, and what the code shows."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        texts = ["".join(output["text"]).rstrip("\n") for output in cell.get("outputs", [])]
        parts += [f"```text\n{text}\n```" for text in texts]
    return "\n\n".join(parts) + "\n"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the API pages to the navigation, a section for each of the three packages."""
    assert config.nav is not None
    names = list(api_pages())
    sections = [
        {package: [name for name in names if name.split("/")[1].split(".")[0] == package]} for package in PACKAGES
    ]
    config.nav.append({"Python API": sections})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the READMEs, the files that they link to, the notebooks and the API pages."""
    for path in texts():
        files.append(File.generated(config, path.as_posix(), abs_src_path=str(ROOT / path)))
    for linked in sorted({target for path in texts() for target in _files_linked_from(path)}):
        files.append(File.generated(config, linked, abs_src_path=str(ROOT / linked)))
    for name, text in (api_pages() | notebook_pages()).items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to Python files to the docstrings of these files."""
    here = posixpath.dirname(page.file.src_uri)
    parts = FENCE.split(markdown)
    parts[::2] = [LINK.sub(lambda link: _target_in_site(link, here), part) for part in parts[::2]]
    return "".join(parts)


def _files_linked_from(path: Path) -> Iterator[str]:
    """Yield the files that a page links to and that have no page of their own, from the root."""
    for link in LINK.finditer(FENCE.sub("", (ROOT / path).read_text(encoding="utf-8"))):
        target = posixpath.normpath(posixpath.join(path.parent.as_posix(), link["path"]))
        has_docstrings = target.endswith(".py") and target.split("/")[0] in PACKAGES
        if (ROOT / target).is_file() and not has_docstrings and not target.endswith(".md"):
            yield target


def _target_in_site(link: re.Match[str], here: str) -> str:
    """Return where a link of a page in the folder ``here`` leads in the site."""
    path = posixpath.normpath(posixpath.join(here, link["path"]))
    if not path.endswith(".py"):
        return link[0]
    folder, name = posixpath.split(path.removesuffix(".py"))
    package = folder.replace("/", ".")
    if package.split(".")[0] not in PACKAGES:
        return link[0]
    anchor = "" if name == "__init__" else f"#{package}.{name}"
    return posixpath.relpath(f"api/{package}.md", here or ".") + anchor
