"""Where the rows of a raw log are: its chunks with their numbers of rows, before any row is scored.

So the number of a row does not depend on who reads it, parts can be scored in any order by any rank, and progress has
an end. Of Parquet the footers say it. Text is read once for it, as fast as the disk and one core can (about 1 GB a
second); several ranks share the files.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import google_crc32c
import pyarrow.parquet as pq

from esmm_dist.progress import Progress
from esmm_dist.ranks.world import World
from esmm_dist.raw_scoring.raw_files import ScoredFile
from preprocess.read.chunks import BATCH_ROWS, stream_chunks
from preprocess.read.flat.pieces import opened_parquet

_FOOTER_BYTES = 1 << 16


class RawChunk(NamedTuple):
    """Some consecutive rows of a file, which are read together."""

    file: int
    """Place of the file"""
    number: int
    """Place among the file's chunks of text; of Parquet the row group"""
    begin: int
    """Byte of a plain text where it begins; of Parquet the row within the group"""
    size: int
    """Bytes of text; of Parquet 0"""
    rows: int
    """Rows, rejected ones among them"""
    lines_before: int
    """Lines of the file in front of it, a header's among them; of Parquet rows"""


class FileIndex(NamedTuple):
    """The chunks of a file, and what tells the file from others."""

    chunks: list[RawChunk]
    file_bytes: int
    crc32c: int
    """Checksum of all text, inflated; of Parquet the last 64 kB, which hold sizes and statistics of all columns"""


def index_files(
    files: Sequence[ScoredFile], header_lines: Sequence[int], chunk_bytes: int, world: World, progress: Progress
) -> list[FileIndex]:
    """Find the chunks of all files; a collective, whose ranks share the files.

    Args:
        files: the files, in order
        header_lines: lines of each file in front of its rows
        chunk_bytes: bytes of text in a chunk
        world: the ranks
        progress: receives the bytes that are read

    Raises:
        InputDataError: A file cannot be read.
    """
    own = range(world.rank, len(files), world.size)
    progress.start("Count the rows", float(sum(files[place].size() for place in own)), "B")
    found: dict[str, Any] = {}
    for place in own:
        file = files[place]
        if file.packing == "parquet":
            index = _of_parquet(file, place)
        else:
            index = _of_text(file, place, header_lines[place], chunk_bytes)
        found[str(place)] = [list(map(list, index.chunks)), index.file_bytes, index.crc32c]
        progress.advance(float(index.file_bytes))
    progress.finish()
    everywhere = {place: index for of_rank in world.gather_values(found) for place, index in of_rank.items()}
    indices = []
    for place in range(len(files)):
        chunks, file_bytes, crc32c = everywhere[str(place)]
        indices.append(FileIndex([RawChunk(*chunk) for chunk in chunks], file_bytes, crc32c))
    return indices


def _of_text(file: ScoredFile, place: int, header_lines: int, chunk_bytes: int) -> FileIndex:
    chunks: list[RawChunk] = []
    begin = lines_before = crc32c = 0
    with file.opened_text() as stream:
        for number, text in enumerate(stream_chunks(stream, str(file.path), chunk_bytes)):
            lines = text.count(b"\n") + (not text.endswith(b"\n") and bool(text))
            header = header_lines if number == 0 and lines else 0
            chunks.append(RawChunk(place, number, begin, len(text), lines - header, lines_before + header))
            crc32c = google_crc32c.extend(crc32c, text)
            begin, lines_before = begin + len(text), lines_before + lines
    return FileIndex([chunk for chunk in chunks if chunk.rows], file.size(), crc32c)


def _of_parquet(file: ScoredFile, place: int) -> FileIndex:
    chunks = []
    before = 0
    with file.opened() as stream:
        size = stream.size()
        stream.seek(max(0, size - _FOOTER_BYTES))
        crc32c = google_crc32c.value(stream.read())
        stream.seek(0)
        with opened_parquet(file.path, stream) as opened:
            metadata: pq.FileMetaData = opened.metadata
            for group in range(metadata.num_row_groups):
                rows = metadata.row_group(group).num_rows
                for first in range(0, rows, BATCH_ROWS):
                    here = min(BATCH_ROWS, rows - first)
                    chunks.append(RawChunk(place, group, first, 0, here, before))
                    before += here
    return FileIndex(chunks, size, crc32c)


class RawPart(NamedTuple):
    """The rows of one file of scores."""

    number: int
    first_row: int
    """Number of its first row among all rows, from 1 on"""
    rows: int
    chunks: tuple[RawChunk, ...]


def cut_parts(indices: Sequence[FileIndex], part_rows: int) -> list[RawPart]:
    """Cut all chunks, in order, into parts of at least ``part_rows`` rows each, but for the last; chunks stay whole."""
    parts: list[RawPart] = []
    waiting: list[RawChunk] = []
    first_row = 1
    rows = 0
    for chunk in (chunk for index in indices for chunk in index.chunks):
        waiting.append(chunk)
        rows += chunk.rows
        if rows >= part_rows:
            parts.append(RawPart(len(parts), first_row, rows, tuple(waiting)))
            waiting, first_row, rows = [], first_row + rows, 0
    if waiting:
        parts.append(RawPart(len(parts), first_row, rows, tuple(waiting)))
    return parts
