"""Cutting text into chunks of whole lines."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import preprocess.read.chunks
from esmm_dist.errors import InputDataError
from preprocess.read.chunks import chunk_size, lines_at, num_chunks, read_chunk, split_lines, stream_chunks


@given(
    lines=st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=20),
    end=st.booleans(),
    size=st.integers(1, 40),
)
def test_chunks_of_a_file_and_of_a_stream_are_the_same_and_make_the_whole(lines: list[bytes], end: bool, size: int):
    import tempfile

    text = b"\n".join(lines) + (b"\n" if end else b"")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(text)
        of_file = [read_chunk(path, k, size) for k in range(num_chunks(len(text), size))]
    of_stream = list(stream_chunks(io.BytesIO(text), "log", size))
    assert b"".join(of_file) == text
    length = max(len(of_file), len(of_stream))
    padded = [chunks + [b""] * (length - len(chunks)) for chunks in (of_file, of_stream)]
    assert padded[0] == padded[1]
    assert all(chunk.endswith(b"\n") for chunk in of_file if chunk and chunk != [c for c in of_file if c][-1])


def test_sizes_of_the_chunks_add_up_to_the_file(tmp_path: Path):
    path = tmp_path / "log"
    path.write_bytes(b"x" * 25)
    assert [chunk_size(path, chunk, 10) for chunk in range(num_chunks(25, 10))] == [10, 10, 5]


def test_lines_of_a_chunk_lose_only_their_line_ends():
    assert split_lines(b"a\r\n\nb") == [b"a\r", b"", b"b"]
    assert split_lines(b"a\n") == [b"a"]
    assert split_lines(b"") == []


def test_line_of_endless_length_is_an_error_that_names_file_and_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(preprocess.read.chunks, "MAX_LINE_BYTES", 1000)
    text = b"a\n" + b"x" * 200_000
    (tmp_path / "log").write_bytes(text)
    with pytest.raises(InputDataError, match=r"log: the line at byte 100 is longer than 1000 bytes"):
        read_chunk(tmp_path / "log", 0, 100)
    with pytest.raises(InputDataError, match=r"packed: the line at byte 100 is longer than 1000 bytes"):
        list(stream_chunks(io.BytesIO(text), "packed", 100))


@pytest.mark.parametrize("chunk", [b"a\n", b"a", b"a\n\nbb\n", b"\n\n", b"a\r\nbb\nccc"])
def test_lines_by_their_numbers_are_those_of_the_split_chunk(chunk):
    lines = split_lines(chunk)
    numbers = list(range(len(lines)))[::-1]
    assert lines_at(chunk, numbers) == [lines[number] for number in numbers]
