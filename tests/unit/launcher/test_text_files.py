"""Text has one encoding wherever the program reads or writes it, whatever the locale."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted(file for package in ("esmm_dist", "launcher", "preprocess") for file in (ROOT / package).rglob("*.py"))

TEXT = ("read_text", "write_text")
RUNS = ("run", "Popen", "check_output")
OPENS = {"open": 1, "fdopen": 1, "NamedTemporaryFile": 0, "TemporaryFile": 0}
"""Functions that open files, and where their mode stands. As a method (of a path), one place before."""
OF_OTHERS = {"Folder", "MappedModel", "ServedScorer", "os", "tarfile", "mmap"}
"""What has an ``open`` of its own, of bytes."""


def calls_without_encoding(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that read or write text in the locale's encoding."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        given = {each.arg: each.value for each in call.keywords}
        if "encoding" in given:
            continue
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if (name in TEXT and owner is not None) or ("text" in given and name in RUNS):
            yield call
        elif name in OPENS and not (name == "open" and isinstance(owner, ast.Name) and owner.id in OF_OTHERS):
            place = OPENS[name] - (owner is not None and name == "open")
            mode = given.get("mode") or (call.args[place] if len(call.args) > place else None)
            default = "w+b" if "Temporary" in name else "r"
            if "b" not in (str(mode.value) if isinstance(mode, ast.Constant) else default):
                yield call


def test_there_are_files_to_look_at():
    assert len(FILES) > 200


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("open(p)", 1),
        ("open(p, 'rb')", 0),
        ("open(p, 'w', encoding='utf-8')", 0),
        ("p.open()", 1),
        ("p.open('w')", 1),
        ("p.open('ab', buffering=0)", 0),
        ("os.fdopen(d, 'w')", 1),
        ("tempfile.NamedTemporaryFile('w')", 1),
        ("tempfile.TemporaryFile()", 0),
        ("p.read_text()", 1),
        ("p.write_text(t, encoding='utf-8')", 0),
        ("subprocess.run(c, text=True)", 1),
        ("subprocess.run(c, encoding='utf-8')", 0),
        ("Folder.open(p)", 0),
    ],
)
def test_a_call_that_leaves_the_encoding_to_the_locale_is_found(line, found):
    assert len(list(calls_without_encoding(ast.parse(line)))) == found


def test_every_text_file_is_opened_with_its_encoding():
    assert [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for file in FILES
        for call in calls_without_encoding(ast.parse(file.read_text(encoding="utf-8")))
    ] == []
