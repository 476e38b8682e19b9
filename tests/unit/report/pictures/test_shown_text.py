"""Texts of users fit and hold nothing that does not print."""

import pytest

from esmm_dist.report.pictures.shown_text import cut, cut_apart, cut_middle


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("short", "short"),
        ("x" * 10, "x" * 10),
        ("x" * 11, "x" * 9 + "…"),
        ("a\nb\x1b[2J", "a\\nb\\x1b[…"),
        ("words and more", "words and…"),  # no blank before the mark
        ("\u202eabc", "\\u202eabc"),  # turns the direction of what follows
        ("", ""),
    ],
)
def test_a_text_is_one_line_of_at_most_ten_letters(text: str, shown: str) -> None:
    assert cut(text, 10) == shown
    assert len(shown) <= 10


def test_a_path_keeps_both_ends() -> None:
    assert cut_middle("/data/of/the/model/run-17", 11) == "/data…un-17"
    assert cut_middle("run-17", 11) == "run-17"
    assert len(cut_middle("x" * 99, 12)) == 12


def test_texts_that_look_alike_when_cut_are_numbered() -> None:
    assert cut_apart(["abcdef1", "abcdef2", "b", "abcdef3"], 5) == ["abcd…", "abcd… (2)", "b", "abcd… (3)"]
