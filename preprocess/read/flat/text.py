"""Read a chunk of text of a flat log into a table of texts: CSV or JSON lines.

CSV has quotes as in RFC 4180, but no line breaks in values.
"""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from esmm_dist.errors import InputDataError
from esmm_dist.schema.sources import UTF_8, FlatSource
from preprocess.read.json_lines import JsonList, json_rows
from preprocess.read.rejects import Reason, Reject, reject

_VALUE = rb'(?:"(?:[^"]++|"")*+"[^D]*+|[^"D][^D]*+|)'
"""One value as Arrow reads it, D the delimiter: a quote counts at the value's start only, and what follows the closing
one is kept. Possessive (++), so that nothing is tried twice: a line is matched in one pass."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class JsonForm:
    """Which members of the objects of JSON lines become columns."""

    values: tuple[str, ...]
    """Columns of one value a row."""
    lists: Mapping[str, JsonList]
    """Columns that may hold lists."""


@dataclass(frozen=True, kw_only=True)
class TextForm:
    """How a text file writes its columns."""

    delimiter: str = ","
    encoding: str = "utf-8"
    json: JsonForm | None = None
    """Columns of JSON lines; None: the file is CSV."""

    @classmethod
    def of(cls, source: FlatSource, path: Path, json: JsonForm | None = None) -> "TextForm":
        """Return the form of a file: what the schema says, else what the file's name does."""
        delimiter = "\t" if path.name.endswith((".tsv", ".tsv.gz")) else ","
        return cls(delimiter=source.delimiter or delimiter, encoding=source.encoding, json=json)

    @property
    def header_lines(self) -> int:
        """Lines of a file before its first row."""
        return 0 if self.json is not None else 1

    def as_utf8(self, line: bytes) -> bytes | None:
        """Return a line of another encoding as UTF-8, or None if it is not text of that encoding."""
        if self.encoding == UTF_8:
            return line
        try:
            return line.decode(self.encoding).encode()
        except UnicodeError:
            return None


def read_header(line: bytes, form: TextForm) -> list[str]:
    """Return the column names of the first line of a file; of JSON lines those that are read."""
    if form.json is not None:
        return [*form.json.values, *form.json.lists]
    encoded = form.as_utf8(line.removeprefix(_BOM).rstrip(b"\r\n"))
    try:
        text = (encoded if encoded is not None else line).decode()
    except UnicodeDecodeError as e:
        raise InputDataError(
            f"The header line {line[:80]!r} is not {form.encoding} text. Set source.encoding of the schema to the "
            "encoding of the file, such as cp1252 or gbk."
        ) from e
    try:
        return next(csv.reader([text], delimiter=form.delimiter), [])
    except csv.Error as e:
        raise InputDataError(f"The header line {text[:80]!r} cannot be read ({e}). Write it as RFC 4180 says.") from e


def read_rows(
    lines: list[bytes], first: int, names: list[str], form: TextForm
) -> tuple[pa.Table, npt.NDArray[np.int64], list[Reject]]:
    r"""Read lines of text.

    Args:
        lines: lines without ``\n``
        first: number of the first line within its chunk
        names: names of the columns
        form: form of the file

    Returns:
        The good rows, columns of texts (of JSON lines also of lists); the number of each row's line within the chunk;
        the rejected lines.
    """
    if form.json is not None:
        return _json_rows(lines, first, form, form.json)
    rejects = []
    numbers, kept = [], []
    closed = _closed(form.delimiter)
    for number, line in enumerate(lines, first):
        line = line.rstrip(b"\r")  # \r\r\n: a text that was written as Windows text twice
        encoded = form.as_utf8(line)
        reason = Reason.BAD_ENCODING if encoded is None else _odd(encoded, closed)
        line = encoded if encoded is not None else line
        if reason is None:
            numbers.append(number)
            kept.append(line)
        else:
            rejects.append(reject(number, reason, line))
    of_row = np.array(numbers, np.int64)
    if not kept:
        return pa.table({name: pa.array([], pa.string()) for name in names}), of_row, rejects
    wrong: set[int] = set()

    def note(row: pacsv.InvalidRow) -> str:
        wrong.add(row.number - 1)
        return "skip"

    text = b"\n".join(kept)
    if text.startswith(_BOM):  # Arrow drops one at the beginning of what it reads: it would depend on the chunks
        text = _BOM + text
    table = pacsv.read_csv(
        io.BytesIO(text),
        read_options=pacsv.ReadOptions(use_threads=False, column_names=names, block_size=len(text) + 1),
        parse_options=pacsv.ParseOptions(delimiter=form.delimiter, ignore_empty_lines=False, invalid_row_handler=note),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, quoted_strings_can_be_null=False
        ),
    )
    rejects += [reject(int(of_row[i]), Reason.WRONG_COLUMNS, kept[i]) for i in sorted(wrong)]
    good = np.ones(len(kept), np.bool_)
    good[list(wrong)] = False
    return table, of_row[good], sorted(rejects, key=lambda r: r.line)


def _json_rows(
    lines: list[bytes], first: int, form: TextForm, json: JsonForm
) -> tuple[pa.Table, npt.NDArray[np.int64], list[Reject]]:
    encoded = [form.as_utf8(line.rstrip(b"\r")) for line in lines]
    table, numbers, rejects = json_rows([b"" if e is None else e for e in encoded], first, json.values, json.lists)
    not_text = [n for n, line in enumerate(encoded) if line is None]
    if not_text:  # read as empty lines
        of_line = {r.line: r for r in rejects}
        of_line |= {first + n: reject(first + n, Reason.BAD_ENCODING, lines[n]) for n in not_text}
        rejects = [of_line[line] for line in sorted(of_line)]
    return table, numbers, rejects


@cache
def _closed(delimiter: str) -> re.Pattern[bytes]:
    """Return what a line without an open quote matches."""
    value = _VALUE.replace(b"D", re.escape(delimiter.encode()))
    return re.compile(value + rb"(?:" + re.escape(delimiter.encode()) + value + rb")*+", re.DOTALL)


def _odd(line: bytes, closed: re.Pattern[bytes]) -> Reason | None:
    """Find lines that Arrow would not take as one row, or as an empty one."""
    if not line:
        return Reason.WRONG_COLUMNS
    if b'"' in line and not closed.fullmatch(line):
        return Reason.WRONG_COLUMNS  # an open quote would swallow the lines after it
    if b"\r" in line:
        return Reason.WRONG_COLUMNS  # would end the row
    if line.isascii():
        return None
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return Reason.BAD_UTF8
    return None
