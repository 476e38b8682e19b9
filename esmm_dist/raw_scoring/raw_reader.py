"""Read the rows of chunks of a raw log, piece by piece, with the lines that are no rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.arrays import I64
from esmm_dist.errors import InputDataError, SchemaError
from esmm_dist.raw_scoring.raw_files import ScoredFile
from esmm_dist.raw_scoring.raw_index import RawChunk
from esmm_dist.raw_scoring.scored_schema import ReadColumns
from preprocess.read.chunks import MAX_LINE_BYTES, split_lines, stream_chunks
from preprocess.read.flat.header import checked_header, text_form
from preprocess.read.flat.pieces import group_pieces, line_pieces, opened_parquet
from preprocess.read.flat.row_texts import row_text, value_shown
from preprocess.read.flat.text import TextForm, read_rows
from preprocess.read.json_lines import check_json_head
from preprocess.read.rejects import Reason, Reject, reject

_PIECE_ITEMS = 1 << 20
"""Ids and other values that are read at once: a quarter of what preprocess takes, as a model is in memory too"""
_HEAD_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class ReadRows:
    """The rows of one piece of a chunk as they were read, and the lines that are none."""

    file: ScoredFile
    chunk: RawChunk
    table: pa.Table
    """R rows: the columns that are read."""
    places: I64
    """int64 [R], ascending: the place of each row in its chunk, rejected lines counted"""
    rejects: Sequence[Reject]
    """Lines that are no rows, by their places in the chunk"""
    text_of_row: Callable[[int], bytes]
    """Quotes a row"""

    def reject(self, row: int, reason: Reason, column: str) -> Reject:
        """Reject a row because of what a column holds."""
        value = value_shown(self.table.column(column), row)
        return reject(int(self.places[row]), reason, self.text_of_row(row), column, value)


class RawReader:
    """Reads chunks in ascending order. One thread uses it; ``close`` closes the file at hand."""

    def __init__(self, files: Sequence[ScoredFile], columns: ReadColumns, chunk_bytes: int) -> None:
        """Prepare to read.

        Args:
            files: files of the log
            columns: columns to read, and their schema
            chunk_bytes: bytes of text in a chunk
        """
        source = columns.schema.flat_source
        assert source is not None  # scored_schema
        self._files, self._source, self._columns, self._chunk_bytes = files, source, columns, chunk_bytes
        self._stack = ExitStack()
        self._open: tuple[int, Any] | None = None
        self._headers: dict[int, list[str]] = {}

    def types(self, place: int) -> pa.Schema:
        """Return the columns of a file that are read, with their types, after they were checked.

        Raises:
            SchemaError: A column is missing, is there twice, or has a type that cannot be read.
            InputDataError: The file cannot be read.
        """
        file = self._files[place]
        if file.packing == "parquet":
            with file.opened() as stream, opened_parquet(file.path, stream) as opened:
                self._columns.check(file.path, opened.schema_arrow)
                return pa.schema([opened.schema_arrow.field(name) for name in self._columns.names])
        names = self._header(place)
        return pa.schema([(name, pa.string()) for name in self._columns.names if name in names])

    def has(self, place: int, column: str) -> bool:
        """Return whether a file has a column."""
        file = self._files[place]
        if file.packing == "parquet":
            with file.opened() as stream, opened_parquet(file.path, stream) as opened:
                return column in opened.schema_arrow.names
        if self._form(place).json is None:
            return column in self._read_header(place, {})
        try:
            check_json_head(file.path, self._head(file), {column: ""})
        except SchemaError:
            return False
        return True

    def header_lines(self, place: int) -> int:
        """Return how many lines stand in front of a file's rows."""
        return 0 if self._files[place].packing == "parquet" else self._form(place).header_lines

    def rows(self, chunks: Sequence[RawChunk]) -> Iterator[ReadRows]:
        """Yield the rows of some chunks, in order, piece by piece.

        Raises:
            InputDataError: A file cannot be read, or is another one than when its rows were counted.
        """
        for (place, number), of_one in groupby(chunks, key=lambda chunk: (chunk.file, chunk.number)):
            if self._files[place].packing == "parquet":
                yield from self._of_group(list(of_one), place, number)
            else:
                for chunk in of_one:
                    yield from self._of_text(chunk)

    def close(self) -> None:
        """Close the file at hand; a second call is harmless."""
        self._stack.close()
        self._open = None

    def _of_group(self, chunks: Sequence[RawChunk], place: int, group: int) -> Iterator[ReadRows]:
        file, by_first = self._files[place], {chunk.begin: chunk for chunk in chunks}
        opened = self._opened(place, lambda: self._parquet(file))
        columns = list(self._columns.names)
        end = chunks[-1].begin + chunks[-1].rows
        at_hand: RawChunk | None = None
        for first, table in group_pieces(opened, group, columns, self._source.list_separator, _PIECE_ITEMS):
            at_hand = by_first.get(first, at_hand)
            if at_hand is not None:
                yield ReadRows(
                    file=file,
                    chunk=at_hand,
                    table=table.select(columns),
                    places=first - at_hand.begin + np.arange(table.num_rows),
                    rejects=(),
                    text_of_row=partial(row_text, table),
                )
            if first + table.num_rows >= end:
                return

    def _of_text(self, chunk: RawChunk) -> Iterator[ReadRows]:
        file = self._files[chunk.file]
        form = self._form(chunk.file)
        text = self._text(chunk)
        names = self._header(chunk.file)
        lines = split_lines(text)
        header_lines = self.header_lines(chunk.file) if chunk.number == 0 else 0
        lines = lines[header_lines:]
        if len(text) != chunk.size or len(lines) != chunk.rows:
            raise InputDataError(f"{file.path} was changed while it was read. Run it again when nobody writes to it.")
        del text  # its lines are another copy
        separators = (form.delimiter.encode(), self._source.list_separator.encode())
        for begin, end in line_pieces(lines, separators, _PIECE_ITEMS):
            table, places, rejects = read_rows(lines[begin:end], begin, names, form)
            yield ReadRows(
                file=file,
                chunk=chunk,
                table=table.select(list(self._columns.names)),
                places=places,
                rejects=rejects,
                text_of_row=partial(_line, lines, places, form),
            )

    def _text(self, chunk: RawChunk) -> bytes:
        file = self._files[chunk.file]
        if file.packing == "plain":
            stream = self._opened(chunk.file, lambda: self._stack.enter_context(file.opened()))
            stream.seek(chunk.begin)
            return bytes(stream.read(chunk.size))
        texts = self._opened(chunk.file, lambda: self._packed(file))
        for number, text in texts:
            if number == chunk.number:
                return bytes(text)
        return b""

    def _packed(self, file: ScoredFile) -> Iterator[tuple[int, bytes]]:
        stream = self._stack.enter_context(file.opened_text())
        return enumerate(stream_chunks(stream, str(file.path), self._chunk_bytes))

    def _parquet(self, file: ScoredFile) -> pq.ParquetFile:
        return self._stack.enter_context(opened_parquet(file.path, self._stack.enter_context(file.opened())))

    def _opened(self, place: int, open_file: Callable[[], Any]) -> Any:
        if self._open is None or self._open[0] != place:
            self.close()
            self._open = (place, open_file())
        return self._open[1]

    def _form(self, place: int) -> TextForm:
        return text_form(self._columns.schema, self._files[place].path, self._columns.what)

    def _header(self, place: int) -> list[str]:
        if place not in self._headers:
            self._headers[place] = self._read_header(place, self._columns.what)
        return self._headers[place]

    def _read_header(self, place: int, read: Mapping[str, str]) -> list[str]:
        file, form = self._files[place], self._form(place)
        head = self._head(file)
        return checked_header(file.path, head if form.json is not None else head.partition(b"\n")[0], form, read)

    def _head(self, file: ScoredFile) -> bytes:
        """Return the beginning of a text: its first line, and 64 kB or more of what follows."""
        head = b""
        with file.opened_text() as stream:
            while (b"\n" not in head) and len(head) < MAX_LINE_BYTES and (more := stream.read(_HEAD_BYTES)):
                head += more
        return head


def _line(lines: list[bytes], places: I64, form: TextForm, row: int) -> bytes:
    return form.as_utf8(lines[int(places[row])]) or b""
