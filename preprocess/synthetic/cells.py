r"""Text of lines of features, without a Python loop over features.

Every piece of a line is written into a cell of 24 bytes, padded with NULs: a key of 16 and a value of 8. One C call
then drops the NULs of all cells::

    skeleton  |1702,           |0,0,    |84dceed2e3a667f8|,14,    |205^B7311^C     |1.0^A   | ... |0.5\n   |
    common    |84dceed2e3a667f8|,343,   |101^B31319^C    |1.0^A   | ... |1.0\n   |

(^A, ^B and ^C are the bytes 1, 2 and 3.)
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from preprocess.synthetic.dimensions import FieldRange
from preprocess.synthetic.draws import Ints

Texts = npt.NDArray[np.bytes_]
CELL = np.dtype([("key", "S16"), ("value", "S8")])
_HEX_OF_BYTE = np.array([f"{byte:02x}".encode() for byte in range(256)], dtype="S2")


@dataclass(frozen=True)
class Part:
    """Features of one field for a block of lines."""

    counts: Ints
    """Features of each line, int64 [lines]."""
    keys: Texts
    r"""field\x02id\x03, line after line, ``S16`` [Σ counts]."""
    values: Texts
    r"""value\x01, ``S8`` [Σ counts] or one for all."""


@dataclass(frozen=True)
class Lines:
    """Cells of a block of lines."""

    cells: npt.NDArray[np.void]
    starts: Ints
    """First cell of each line, int64 [lines]."""
    ends: Ints
    """Behind the last cell of each line."""
    num_headers: int

    def text(self) -> bytes:
        """Return the lines' bytes."""
        return self.cells.tobytes().translate(None, b"\0")

    def repeated(self, lines: Ints) -> bytes:
        """Return the bytes of some of the lines."""
        return b"".join(self.cells[self.starts[i] : self.ends[i]].tobytes().translate(None, b"\0") for i in lines)

    def erase(self, line: int, from_cell: int = 0) -> None:
        """Blank a line from one of its cells on."""
        self.cells[self.starts[line] + from_cell : self.ends[line]] = np.zeros((), CELL)


class FeatureKeys:
    """Key texts of every id, by field; a table is built at its field's first use (16 bytes an id)."""

    def __init__(self, ranges: dict[str, FieldRange]) -> None:
        self._ranges = ranges
        self._tables: dict[str, Texts] = {}

    def size(self, field: str) -> int:
        """Return the number of ids of a field."""
        return self._ranges[field].size

    def of_local(self, field: str, local: Ints) -> Texts:
        """Return the key texts of places in the field's range, ``S16`` [N]."""
        if field not in self._tables:
            span = self._ranges[field]
            ids = np.arange(span.base, span.base + span.size)
            self._tables[field] = joined_texts(f"{field}\x02".encode(), decimal_texts(ids), b"\x03")
        return self._tables[field][local]

    def of_ranks(self, field: str, ranks: Ints) -> Texts:
        """Return the key texts of popularity ranks, ``S16`` [N]."""
        return self.of_local(field, self._ranges[field].local(ranks))


def build_lines(headers: list[tuple[Texts, Texts]], parts: list[Part]) -> Lines:
    r"""Lay out a block of lines: header cells, the number of features, then the parts' features in order.

    Args:
        headers: key and value texts of each header cell, ``S16`` and ``S8`` [lines]; the last value is replaced by
            ``,number of features,``
        parts: features; each line has at least one in all parts together
    """
    num_features = np.sum([part.counts for part in parts], axis=0)
    sizes = num_features + len(headers)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    cells = np.zeros(int(ends[-1]), CELL)
    for place, (keys, values) in enumerate(headers):
        cells["key"][starts + place] = keys
        cells["value"][starts + place] = values
    cells["value"][starts + len(headers) - 1] = joined_texts(b",", decimal_texts(num_features), b",").astype("S8")
    offsets = starts + len(headers)
    for part in parts:
        first = np.cumsum(part.counts) - part.counts
        at = np.repeat(offsets - first, part.counts) + np.arange(part.keys.size)
        cells["key"][at] = part.keys
        cells["value"][at] = part.values
        offsets = offsets + part.counts
    last = cells["value"][ends - 1].view(np.uint8).reshape(-1, 8)
    last[last == 1] = ord("\n")
    cells["value"][ends - 1] = last.view("S8").ravel()
    return Lines(cells, starts, ends, len(headers))


def decimal_texts(numbers: Ints) -> Texts:
    """Return whole numbers >= 0 as decimal text, ``S`` [N], padded with NULs on the left."""
    width = len(str(int(numbers.max(initial=0))))
    digits = np.zeros((numbers.size, width), np.uint8)
    left = numbers.astype(np.int64)
    for place in range(width - 1, -1, -1):
        left, digit = np.divmod(left, 10)
        written = (digit > 0) | (left > 0) | (place == width - 1)
        digits[:, place] = np.where(written, digit + ord("0"), 0)
    return digits.view(f"S{width}").ravel()


def hex_texts(keys: npt.NDArray[np.uint64]) -> Texts:
    """Return uint64 [N] as 16 hexadecimal digits, ``S16`` [N]."""
    big_endian = keys.astype(">u8").view(np.uint8)
    return _HEX_OF_BYTE[big_endian].view("S16")


def joined_texts(before: bytes, middle: Texts, after: bytes) -> Texts:
    """Return before + middle + after for each text, ``S16`` [N]; NULs stay inside, as ``Lines.text`` drops them."""
    width = middle.dtype.itemsize
    joined = np.zeros((middle.size, 16), np.uint8)
    joined[:, : len(before)] = np.frombuffer(before, np.uint8)
    joined[:, len(before) : len(before) + width] = np.ascontiguousarray(middle).view(np.uint8).reshape(-1, width)
    joined[:, len(before) + width : len(before) + width + len(after)] = np.frombuffer(after, np.uint8)
    return joined.view("S16").ravel()
