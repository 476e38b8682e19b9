"""What keeps the house in order, where a machine can tell."""

import ast
import re
from collections import defaultdict

import pytest

from tests.unit.house.source_files import (
    PACKAGES,
    ROOT,
    circles,
    imported_modules,
    num_arguments,
    num_lines,
    source_files,
)

MOST_ARGUMENTS = 6
MOST_README_LINES = 400
MOST_FILE_LINES = 600
MOST_FUNCTION_LINES = 80


def test_circles_are_found_and_chains_are_not():
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]
    assert circles({"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": {"c", "a"}}) == [["a", "b"], ["c", "d"]]


def test_no_module_imports_itself_by_way_of_others():
    files = source_files(*PACKAGES)
    modules = {file.module for file in files}
    assert circles({file.module: imported_modules(file, modules) for file in files}) == []


def test_the_launcher_is_smaller_than_what_it_launches():
    assert num_lines("launcher") < num_lines("esmm_dist")


def test_there_are_as_many_lines_of_tests_as_of_code():
    assert num_lines("tests") >= num_lines(*PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_function_takes_more_than_six_arguments(package: str):
    many = [
        f"{file.place}:{function.lineno} {function.name} takes {num_arguments(function)}"
        for file in source_files(package)
        for function in file.functions()
        if num_arguments(function) > MOST_ARGUMENTS
    ]
    assert many == []


def test_self_is_no_argument_and_keyword_only_ones_are():
    function = ast.parse("def f(self, a, /, b, *, c=1): ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    assert num_arguments(function) == 3


@pytest.mark.parametrize("package", PACKAGES)
def test_files_and_functions_can_be_read_in_one_sitting(package: str):
    long = [file.place for file in source_files(package) if file.num_lines > MOST_FILE_LINES]
    long += [
        f"{file.place}:{function.lineno} {function.name}"
        for file in source_files(package)
        for function in file.functions()
        if (function.end_lineno or 0) - function.lineno >= MOST_FUNCTION_LINES
    ]
    assert long == []


_TALK = re.compile(r"^\s*(?:(?:Of|Told) |\w+: (?:[Oo]f|[Tt]old) )", re.MULTILINE)


def test_talk_is_told_from_noun_phrases():
    assert _TALK.search("Args:\n    schema: Of the data set.")
    assert _TALK.search("Args:\n    progress: Told of it.")
    assert _TALK.search("Args:\n    schema: of the data set")
    assert _TALK.search("Of the run.")
    assert not _TALK.search("Args:\n    schema: schema of the data set\n    progress: receives training progress")


@pytest.mark.parametrize("folder", [*PACKAGES, "tests"])
def test_docstrings_describe_arguments_by_noun_phrases(folder: str):
    talk = [
        f"{file.place}: {line.strip()}"
        for file in source_files(folder)
        for text in file.docstrings()
        for line in text.splitlines()
        if _TALK.match(line) and file.path.parent != ROOT / "tests/unit/house"
    ]
    assert talk == []


def test_a_public_class_has_a_name_of_its_own():
    places = defaultdict(list)
    for file in source_files(*PACKAGES):
        for node in file.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(file.place)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_the_readme_leads_and_does_not_tell_all():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MOST_README_LINES
