"""Read a chunk of CSV text of a flat log into a table of texts. Quotes as in RFC 4180, but no line breaks in values."""

import csv
import io

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from preprocess.rejects import Reason, Reject, reject


def read_header(line: bytes) -> list[str]:
    """Return the column names of the first line of a file."""
    text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").rstrip("\r\n")
    return next(csv.reader([text]), [])


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
        line = line.removesuffix(b"\r")
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
    if b'"' in line and line.count(b'"') % 2:
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
