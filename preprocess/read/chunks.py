"""Cut files into chunks of whole lines.

Chunk k of a file holds the lines whose first byte lies in [k * chunk_bytes, (k + 1) * chunk_bytes). So the chunks of a
plain file can be read in any order, and a compressed file, read as a stream, has the same chunks as its plain form.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from esmm_dist.errors import InputDataError

CHUNK_BYTES = 8 << 20
"""Bytes of text in one chunk: parsing it takes about 50 MB; smaller ones read the disk in smaller pieces."""

BATCH_ROWS = 1 << 16
"""Rows of a Parquet file that are one chunk; about what a chunk of text holds."""

MAX_LINE_BYTES = 4 << 20
"""A longer line means that the file is not a text log. The longest common row of Ali-CCP has about 0.1 MB."""

_LOOK_AHEAD = 1 << 16


class Reader(Protocol):
    """What a stream must be able to do."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""


def read_chunk(path: Path, chunk: int, chunk_bytes: int = CHUNK_BYTES) -> bytes:
    """Read the lines of one chunk of a plain file (line ends included; the file's last line may lack its own)."""
    with path.open("rb") as file:
        begin = _next_line(file, chunk * chunk_bytes, str(path))
        end = _next_line(file, (chunk + 1) * chunk_bytes, str(path))
        file.seek(begin)
        return file.read(end - begin)


def stream_chunks(stream: Reader, name: str, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Cut a stream into chunks, in order; ``name`` is named in errors."""
    kept, position = b"", 0  # position: in the file, of the first byte of `kept`
    boundary = chunk_bytes
    while True:
        block = stream.read(max(_LOOK_AHEAD, boundary - position - len(kept)))
        if not block:
            break
        kept += block
        # A line that ends at the last byte before the boundary is the last of its chunk.
        while (cut := kept.find(b"\n", max(0, boundary - 1 - position))) >= 0:
            yield kept[: cut + 1]
            kept, position = kept[cut + 1 :], position + cut + 1
            boundary += chunk_bytes
            while boundary <= position:  # the line was longer than a chunk: no line begins in the next one
                yield b""
                boundary += chunk_bytes
        if position + len(kept) - boundary > MAX_LINE_BYTES:
            raise _line_too_long(name, boundary)
    if kept or position == 0:
        yield kept


def num_chunks(file_bytes: int, chunk_bytes: int = CHUNK_BYTES) -> int:
    """Return how many chunks a plain file of this size has; an empty file has one, which is empty."""
    return max(1, -(-file_bytes // chunk_bytes))


def chunk_size(path: Path, chunk: int, chunk_bytes: int = CHUNK_BYTES) -> int:
    """Return the bytes of a plain file that chunk ``chunk`` stands for, for progress; they add up to the file's."""
    return max(0, min(chunk_bytes, path.stat().st_size - chunk * chunk_bytes))


def split_lines(chunk: bytes) -> list[bytes]:
    r"""Return the lines of a chunk without ``\n``; the end of the last line may be missing."""
    lines = chunk.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def lines_at(chunk: bytes, numbers: Sequence[int]) -> list[bytes]:
    r"""Return some lines of ``split_lines``, by their numbers, without making all others."""
    breaks = np.flatnonzero(np.frombuffer(chunk, np.uint8) == ord(b"\n"))
    bounds = np.concatenate(([-1], breaks, [len(chunk)])).tolist()
    return [chunk[bounds[number] + 1 : bounds[number + 1]] for number in numbers]


def _next_line(file: BinaryIO, offset: int, name: str) -> int:
    """Return where the first line that begins at ``offset`` or later begins, or the end of the file."""
    if offset == 0:
        return 0
    file.seek(offset - 1)
    position = offset - 1
    while block := file.read(_LOOK_AHEAD):
        cut = block.find(b"\n")
        if cut >= 0:
            return position + cut + 1
        position += len(block)
        if position - offset > MAX_LINE_BYTES:
            raise _line_too_long(name, offset)
    return position


def _line_too_long(name: str, offset: int) -> InputDataError:
    return InputDataError(
        f"{name}: the line at byte {offset} is longer than {MAX_LINE_BYTES} bytes, so this is not a text log of one "
        "line an impression or user. Check that the file is what its name says, not compressed twice, and that its "
        "lines end in LF or CR LF."
    )
