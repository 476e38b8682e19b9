"""One flag's words become a typed value, and a value the words that help shows."""

from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.errors import ConfigError
from launcher.settings.flag_values import _words, metavar, read, reader

PLAIN = st.text(st.characters(categories=["L", "N"]), min_size=1)


@pytest.mark.parametrize(
    ("hint", "words", "expected"),
    [
        (int, ["12"], 12),
        (float, ["1e-3"], 0.001),
        (str, ["None"], "None"),  # a text may be called so
        (str | None, ["None"], None),
        (int | None, ["3"], 3),
        (Path, ["a/b"], Path("a/b")),
        (Literal["a", "b"], ["b"], "b"),
        (bool | None, ["true"], True),
        (bool | None, ["False"], False),
        (bool | None, ["none"], None),
        (tuple[int, ...], ["1,2", "3"], (1, 2, 3)),
        (tuple[str, ...], ["a,,b", " "], ("a", "b")),  # an empty part is none
        (tuple[int, ...], [], ()),
        (tuple[int, ...] | None, ["None"], None),
        (dict[str, Any], ["{a: 1, b: [x]}"], {"a": 1, "b": ["x"]}),
    ],
)
def test_words_are_read_as_the_type_that_the_setting_has(hint, words, expected):
    assert read(hint, words, "--x") == expected


@pytest.mark.parametrize(
    ("hint", "words", "message"),
    [
        (int, ["many"], r"^--x: Input should be a valid integer, unable to parse .* \(got 'many'\)\.$"),
        (Literal["a", "b"], ["c"], r"^--x is 'c'\. Known: a, b\.$"),
        (Literal["alpha", "beta"], ["alhpa"], r"^--x is 'alhpa'\. Did you mean 'alpha'\? Known: alpha, beta\.$"),
        (tuple[Literal["a", "b"], ...], ["a,c"], r"^--x\[1\] is 'c'\. Known: a, b\.$"),
        (bool | None, ["yes"], r"^--x is 'yes'\. Give true, false or None\.$"),
        (tuple[int, ...], ["1,x"], r"^--x\[1\]: Input should be a valid integer"),
        (str, [""], r"^--x is empty\. Give a value; if it came from a shell variable, that one is not set\.$"),
        (Path, ["  "], r"^--x is empty\."),
        (Path | None, [""], r"^--x is empty\."),
        (dict[str, Any], ["[1]"], r"^--x: '\[1\]' is not a mapping such as"),
        (dict[str, Any], ["{a: "], r"^--x: '\{a: ' is not YAML \("),
    ],
)
def test_words_that_are_no_value_are_refused_with_the_flag(hint, words, message):
    with pytest.raises(ConfigError, match=message):
        read(hint, words, "--x")


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        (int, "INT"),
        (Path, "PATH"),
        (float | None, "{None}|FLOAT"),
        (Literal["a", 2], "{a,2}"),
        (bool | None, "{None}|{true,false}"),
        (tuple[int, ...], "[INT [INT ...]]"),
        (tuple[str, ...] | None, "{None}|[STR [STR ...]]"),
        (dict[str, float], "'{NAME: VALUE, ...}'"),
    ],
)
def test_help_names_a_value_by_its_type(hint, shown):
    assert metavar(hint) == shown


def test_a_switch_has_no_words_to_read():
    assert reader(bool, "--x") is None
    assert reader(int, "--x") is not None


@pytest.mark.parametrize(
    ("hint", "values"),
    [
        (int, st.integers()),
        (float, st.floats(allow_nan=False, allow_infinity=False)),
        (str, PLAIN),
        (int | None, st.none() | st.integers()),
        (tuple[int, ...], st.lists(st.integers()).map(tuple)),
        (tuple[str, ...], st.lists(PLAIN).map(tuple)),
        (dict[str, int], st.dictionaries(PLAIN, st.integers())),
    ],
    ids=str,
)
def test_what_help_shows_as_a_default_reads_back_as_that_default(hint, values):
    @given(values)
    def check(value):
        assert read(hint, _words(value), "--x") == value

    check()
