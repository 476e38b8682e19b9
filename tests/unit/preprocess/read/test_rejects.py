"""Rejected lines: what is kept of them, and how they are listed."""

import json
from pathlib import Path

import pytest

from preprocess.read.rejects import (
    MAX_TEXT,
    Reason,
    count_reasons,
    read_rejects,
    reject,
    reject_line,
    reject_place,
    write_rejects,
)
from preprocess.read.row_files import ChunkId

CHUNK = ChunkId(split="train", file=0, chunk=3)


def test_the_beginning_of_a_long_line_is_kept():
    assert reject(1, Reason.BAD_LABEL, b"x" * 10_000).text == "x" * MAX_TEXT
    assert reject(1, Reason.BAD_LABEL, "é".encode() * MAX_TEXT).text == "é" * MAX_TEXT  # characters, not bytes


def test_bytes_that_are_not_utf8_are_shown_by_their_numbers():
    assert reject(1, Reason.BAD_UTF8, b"a\xffb").text == "a\\xffb"


def test_a_value_is_cut_at_80_characters():
    assert reject(1, Reason.BAD_LABEL, b"", column="c", value="v" * 100).value == "v" * 80


@pytest.mark.parametrize(("column", "where"), [("", {}), ("clicked", {"column": "clicked", "value": "maybe"})])
def test_a_line_of_the_file_of_rejects_is_json_in_a_fixed_order(column: str, where: dict[str, str]):
    found = reject(4, Reason.BAD_LABEL, "ä,maybe".encode(), column=column, value="maybe" if column else "")
    line = reject_line("log.csv", 5, found)
    expected = {"file": "log.csv", "line": 5, "reason": "bad_label", **where, "text": "ä,maybe"}
    assert list(json.loads(line).items()) == list(expected.items())
    assert "ä" in line  # readable without a JSON reader
    assert line.endswith("\n")


def test_the_place_of_a_reject_names_the_value_that_is_the_reason():
    assert reject_place("a.csv", 1_234, reject(0, Reason.BAD_UTF8, b"x")) == "a.csv line 1,234"
    found = reject(0, Reason.BAD_LABEL, b"x", column="clicked", value="maybe")
    assert reject_place("a.csv", 5, found) == "a.csv line 5, column 'clicked' is 'maybe'"


def test_the_rejects_of_a_chunk_are_read_as_they_were_written(tmp_path: Path):
    (tmp_path / "chunks").mkdir()
    rejects = [
        reject(2, Reason.BAD_UTF8, b"\xff\n\x00"),
        reject(7, Reason.BAD_LABEL, b"line\x0bbreak \xe2\x80\xa8", column="c", value="v"),
    ]
    write_rejects(tmp_path, "log", CHUNK, rejects)
    assert read_rejects(tmp_path, "log", CHUNK) == rejects


def test_a_chunk_without_rejects_has_no_file(tmp_path: Path):
    (tmp_path / "chunks").mkdir()
    write_rejects(tmp_path, "log", CHUNK, [])
    assert list((tmp_path / "chunks").iterdir()) == []
    assert read_rejects(tmp_path, "log", CHUNK) == []


def test_reasons_are_counted_and_sorted():
    rejects = [reject(n, reason, b"") for n, reason in enumerate([Reason.WRONG_COLUMNS, Reason.BAD_UTF8] * 2)]
    assert list(count_reasons([*rejects, rejects[0]]).items()) == [("bad_utf8", 2), ("wrong_columns", 3)]
    assert count_reasons([]) == {}
