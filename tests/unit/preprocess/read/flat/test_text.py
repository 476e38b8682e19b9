"""Lines of CSV text: each is a row or a reject, whatever is in it and beside it."""

import csv

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from preprocess.read.flat.text import TextForm, read_rows
from preprocess.read.rejects import Reason

PIECES = st.sampled_from(
    [b'"', b'"', b",", b",", b"a", b"7", b" ", b"'", b"\\", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf"]
)
LINES = st.lists(st.lists(PIECES, max_size=12).map(b"".join), min_size=1, max_size=12)


@settings(max_examples=400)
@given(lines=LINES, columns=st.integers(1, 3))
@example(lines=[b'1,"a"",b', b"2,c"], columns=2)  # an even number of quotes, the last value open
@example(lines=[b'"a""', b"b"], columns=1)
@example(lines=[b"\xef\xbb\xbf1,2", b"3,4"], columns=2)  # a byte order mark within the log is a part of the value
def test_each_line_is_a_row_as_it_would_be_alone_or_a_reject(lines: list[bytes], columns: int):
    """In = out + rejects; a row has the values that Python's csv module reads from its line alone."""
    names = [f"c{i}" for i in range(columns)]
    table, numbers, rejects = read_rows(lines, 0, names, TextForm())
    assert sorted([*numbers.tolist(), *(r.line for r in rejects)]) == list(range(len(lines)))
    rows = list(zip(*(table.column(name).to_pylist() for name in names), strict=True))
    expected = [next(csv.reader([lines[n].rstrip(b"\r").decode()])) for n in numbers.tolist()]
    assert rows == [tuple(row) for row in expected]


@pytest.mark.parametrize(
    "line",
    [
        b'2,"c""',  # escaped quote, then the end: open, although the quotes are even in number
        b'"2,"",c',
        b'2,"""""',
        b'"',
    ],
)
def test_an_open_quote_takes_its_own_line_only(line: bytes):
    table, numbers, rejects = read_rows([b"1,a", line, b"3,d", b'4,"e"'], 0, ["id", "x"], TextForm())
    assert table.to_pydict() == {"id": ["1", "3", "4"], "x": ["a", "d", "e"]}
    assert numbers.tolist() == [0, 2, 3]
    assert [(r.line, r.reason, r.text) for r in rejects] == [(1, Reason.WRONG_COLUMNS, line.decode())]


def test_a_line_of_megabytes_of_quotes_is_judged_in_one_pass():
    """The time limit of the test is the check: a pattern that tries again would not end."""
    line = b'"' + b'a""' * 1_000_000
    _, numbers, rejects = read_rows([line, b"1"], 0, ["id"], TextForm())
    assert (numbers.tolist(), [r.line for r in rejects]) == ([1], [0])
