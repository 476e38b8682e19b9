"""Read a chunk of CSV text of a flat log into a table of texts. Quotes as in RFC 4180, but no line breaks in values."""

import csv
import io
import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from esmm_dist.errors import InputDataError
from preprocess.rejects import Reason, Reject, reject

_VALUE = rb'(?:"(?:[^"]++|"")*+"[^,]*+|[^",][^,]*+|)'
"""One value as Arrow reads it: a quote counts at the value's start only, and what follows the closing one is kept.
Possessive (++), so that nothing is tried twice: a line is matched in one pass."""

_CLOSED = re.compile(_VALUE + rb"(?:," + _VALUE + rb")*+", re.DOTALL)
_BOM = b"\xef\xbb\xbf"


def read_header(line: bytes) -> list[str]:
    """Return the column names of the first line of a file."""
    text = line.removeprefix(_BOM).decode("utf-8", "replace").rstrip("\r\n")
    try:
        return next(csv.reader([text]), [])
    except csv.Error as e:
        raise InputDataError(f"The header line {text[:80]!r} cannot be read ({e}). Write it as RFC 4180 has it.") from e


def read_rows(lines: list[bytes], first: int, names: list[str]) -> tuple[pa.Table, npt.NDArray[np.int64], list[Reject]]:
    r"""Read lines of CSV text.

    Args:
        lines: Without ``\n``.
        first: Number of the first line within its chunk.
        names: Of the columns.

    Returns:
        The good rows, all columns texts; the number of each row's line within the chunk; the rejected lines.
    """
    rejects = []
    numbers, kept = [], []
    for number, line in enumerate(lines, first):
        line = line.rstrip(b"\r")  # \r\r\n: a text that was written as Windows text twice
        reason = _odd(line)
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
        parse_options=pacsv.ParseOptions(ignore_empty_lines=False, invalid_row_handler=note),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, quoted_strings_can_be_null=False
        ),
    )
    rejects += [reject(int(of_row[i]), Reason.WRONG_COLUMNS, kept[i]) for i in sorted(wrong)]
    good = np.ones(len(kept), np.bool_)
    good[list(wrong)] = False
    return table, of_row[good], sorted(rejects, key=lambda r: r.line)


def _odd(line: bytes) -> Reason | None:
    """Find lines that Arrow would not take as one row, or as an empty one."""
    if not line:
        return Reason.WRONG_COLUMNS
    if b'"' in line and not _CLOSED.fullmatch(line):
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
