"""Lines from a pipe's bytes."""

import itertools
import os

import hypothesis.strategies as st
from hypothesis import given

from launcher.processes.lines import LONGEST_LINE_BYTES, LineSplitter


def test_a_line_that_comes_in_pieces_is_one_line():
    splitter = LineSplitter()
    assert splitter.feed(b"ab") == []
    assert splitter.feed(b"c\nd\n\xc3") == ["abc", "d"]
    assert splitter.feed(b"\xa4\r\n") == ["ä"]
    assert splitter.end() == []


def test_the_end_of_a_pipe_ends_the_line():
    splitter = LineSplitter()
    splitter.feed(b"abc")
    assert splitter.end() == ["abc"]
    assert splitter.end() == []


def test_bytes_that_are_no_text_are_kept_and_a_bar_shows_its_last_state():
    assert LineSplitter().feed(b"\xff\n10%\r20%\r100%\r\n") == [os.fsdecode(b"\xff"), "100%"]


def test_a_line_without_end_is_cut():
    splitter = LineSplitter()
    assert [len(line) for line in splitter.feed(b"x" * (2 * LONGEST_LINE_BYTES + 5))] == [LONGEST_LINE_BYTES] * 2
    assert splitter.end() == ["xxxxx"]


@given(
    pieces=st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r", b"\r\n", "ä".encode(), b"\xff"]), max_size=30),
    cuts=st.lists(st.integers(0, 60), max_size=10),
)
def test_where_the_pipe_cuts_the_bytes_makes_no_difference(pieces: list[bytes], cuts: list[int]):
    data = b"".join(pieces)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    whole, cut_up = LineSplitter(), LineSplitter()
    expected = whole.feed(data) + whole.end()
    found = [line for begin, end in itertools.pairwise(places) for line in cut_up.feed(data[begin:end])]
    assert found + cut_up.end() == expected
