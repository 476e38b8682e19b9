"""YAML that knows its lines, and YAML that reads back as it was."""

import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.config import Named, SettingPath
from esmm_dist.errors import ConfigError, SchemaError
from esmm_dist.yaml_text import YamlText, YamlWriter, has_other_breaks, parse_yaml, read_text

TEXT = """\
# a comment
name: nightly
cluster:
  servers: {count: 2, cpu: 500m}
  tolerations:
  - key: a
  - key: b
    value: c
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (["name"], 2),
        (["cluster"], 3),
        (["cluster", "servers", "cpu"], 4),  # within a line
        (["cluster", "tolerations"], 5),
        (["cluster", "tolerations", 1], 7),
        (["cluster", "tolerations", 1, "value"], 8),
        # What is not there: the line of the nearest thing around it
        (["cluster", "image"], 3),
        (["cluster", "tolerations", 2], 5),
        (["cluster", "servers", 0], 4),
        ([], 2),
        (["nothing"], 2),
    ],
)
def test_a_setting_is_found_by_its_line(path, line):
    text = YamlText(TEXT, where="job.yaml")
    assert text.line(path) == line
    assert str(text.error(path, "no.")) == f"job.yaml:{line}: no."


@pytest.mark.parametrize(
    ("path", "says", "expected"),
    [
        (["cluster", "servers"], "count is 0.", "f:4: cluster.servers: count is 0."),
        # The line is that of the setting which is named first; of none, that of the whole
        (["cluster"], "tolerations and servers differ.", "f:5: cluster: tolerations and servers differ."),
        (["cluster"], "it cannot be.", "f:3: cluster: it cannot be."),
        ([], "name is bad.", "f:2: name is bad."),
    ],
)
def test_what_a_class_refuses_is_told_with_the_line_of_the_setting_that_it_names(path, says, expected):
    text = YamlText(TEXT, where="f")
    given: Any = text.data
    for part in path:
        given = given[part]
    assert str(text.refused(path, ConfigError(says), given)) == expected


@pytest.mark.parametrize(
    ("kind", "error", "same"),
    [
        (ConfigError, ConfigError("x is 0."), True),  # settings name themselves
        (ConfigError, ValueError("x is 0."), False),
        (SchemaError, ConfigError("x is 0."), False),  # another file's reader knows only the file
    ],
)
def test_a_source_without_lines_passes_on_what_settings_say_of_themselves(kind, error, same):
    refused = Named("f", kind).refused([], error, {})
    assert (refused is error) == same
    assert type(refused) is kind
    assert str(refused) == ("x is 0." if same else "f: x is 0.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {a: 1, a: 2}\n", r"^f:2: b\.a is set in line 2 already\. Keep one of them\.$"),
        ("a: [{b: 1}, {b: 1, b: 2}]", r"^f:1: a\[1\]\.b is set in line 1 already"),
        ("a:\n  b: !!binary AAAA\n", r"^f:2: a\.b has bytes \(!!binary\)\. Write it as plain text\.$"),
        ('a:\n- "\\0"\n', r"^f:2: a\[0\] has the character NUL, which ends a text for Linux"),
        ('a: "\\ud800"', r"^f:1: a has half a character \(U\+D800 \.\. U\+DFFF\), which UTF-8 cannot hold"),
        ('"\\0": 1', r"^f:1: the file has the character NUL"),
        ("a: 1\nb: \x07\n", r"^f:2: YAML holds no character U\+0007\. Remove it\.$"),
        ("a: 1\n- b\n", r"^f:2: this is not YAML: expected <block end>, but found '-'\.$"),
        ("- a", r"^f holds list, not a mapping of settings\. Write 'name: value' lines\.$"),
        ("", r"^f holds NoneType, not a mapping"),
        ("a: &x [1]\nb: *y\n", r"^f:2: this is not YAML: found undefined alias"),
        (
            "a: b\n---\na: c\n",
            r"^f:2: this is not YAML: expected a single document in the stream, but found another document\.$",
        ),
        ("a: 2001-13-45", r"^f is not valid YAML: month must be in 1\.\.12"),
    ],
)
def test_a_text_that_cannot_be_settings_is_refused_with_its_line(text, message):
    with pytest.raises(ConfigError, match=message):
        YamlText(text, where="f")


def test_aliases_that_repeat_each_other_are_refused_before_they_are_walked():
    bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
    )
    with pytest.raises(ConfigError, match=r"^f:\d+: the file holds more than 100,000 values up to here"):
        YamlText(bomb, where="f")


def test_the_callers_class_of_error_is_raised_for_a_file_too(tmp_path):
    with pytest.raises(SchemaError, match="Cannot read .*none"):
        read_text(tmp_path / "none", error=SchemaError)
    with pytest.raises(SchemaError, match="^f:1: this is not YAML"):
        parse_yaml("[", where="f", error=SchemaError)
    with pytest.raises(ConfigError, match="^f:3: this is not YAML"):
        parse_yaml(b"a: 1\nb: 2\nc: ]\n", where="f")  # bytes, as they come from an object store


@pytest.mark.parametrize(("text", "breaks"), [("plain\n", False), ("a\x85b", True), ("\u2028", True), ("\u2029", True)])
def test_breaks_of_yaml_that_are_no_breaks_of_a_file_are_found(text, breaks):
    assert has_other_breaks(text) == breaks


NAMES = st.text(st.sampled_from("abcxyz_"), min_size=1, max_size=6)
SCALARS = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)
MAPPINGS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)


@given(MAPPINGS)
def test_whatever_is_written_reads_back_the_same(mapping):
    for flow in (False, True):
        text = yaml.dump(mapping, Dumper=YamlWriter, allow_unicode=True, default_flow_style=flow)
        assert parse_yaml(text, where="f") == mapping


def paths_of(value: Any, path: tuple[str | int, ...] = ()) -> list[SettingPath]:
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [path, *(found for key, each in items for found in paths_of(each, (*path, key)))]


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers(0, 9), min_size=1), min_size=1))
def test_every_key_is_found_where_it_stands(mapping):
    text = yaml.safe_dump(mapping, sort_keys=False)
    lines, found = text.splitlines(), YamlText(text, where="f")
    for path in paths_of(mapping)[1:]:
        indented = f"{'  ' * (len(path) - 1)}{path[-1]}:"
        assert re.match(rf"{indented}|{indented.replace(str(path[-1]), repr(path[-1]))}", lines[found.line(path) - 1])
