"""Make one block file of many, so that what a partition needs of them is one large read.

n files of P partitions are n * P reads in every pass over the rows: with the number of partitions, which grows with the
input as the number of files does, reads grow with its square, and each gets smaller. Merged files hold so many small
ones that a block has ``BLOCK_BYTES`` on average. Merging reads each file range by range: a range is some neighbouring
partitions, which stand side by side in a file, of all files together as much as memory holds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from esmm_dist.arrays import I64, U8
from preprocess.work.blocks import gathered
from preprocess.work.folder import replaced

BLOCK_BYTES = 256 << 10
"""Bytes of one partition in one file: reading so many takes several times as long as finding them (20 µs)."""

LEAST_READ_BYTES = 32 << 10
"""Bytes that a merge reads at once of one file: so many files share the memory at the most."""


@dataclass(frozen=True, kw_only=True)
class BlockSource:
    """A block file that becomes part of another one."""

    path: Path
    terms: Mapping[str, int] = field(default_factory=dict)
    """What is added to all values of an int64 column, by its name; 0 or more."""


def group_files(file_bytes: Sequence[int], partitions: int, room_bytes: int) -> list[int]:
    """Choose which files are merged: neighbours, so that merged files stand in the order of their rows.

    Args:
        file_bytes: size of each file
        partitions: partitions of the files
        room_bytes: what one merge may hold of its files

    Returns:
        Where each group ends: the first file after it. A group of one file is as large as it should be.
    """
    most = max(1, room_bytes // LEAST_READ_BYTES)
    ends: list[int] = []
    held = count = 0
    for number, size in enumerate(file_bytes):
        if count and (held + size // 2 > partitions * BLOCK_BYTES or count == most):
            ends.append(number)
            held = count = 0
        held, count = held + size, count + 1
    return [*ends, len(file_bytes)] if len(file_bytes) else []


def merge_blocks(path: Path, sources: Sequence[BlockSource], room_bytes: int) -> None:
    """Write one block file whose partitions hold those of all sources, in their order, under a temporary name first.

    Args:
        path: file to write
        sources: files of the same columns and number of partitions, one or more
        room_bytes: what is held of them at once; twice that is in memory
    """
    header, sizes = b"", np.zeros(0, np.int64)
    for number, source in enumerate(sources):
        with source.path.open("rb", buffering=0) as file:
            head = _Head.read(file)
            if number == 0:
                header, sizes = head.text, np.zeros(head.partitions * len(head.columns), np.int64)
            assert head.text == header  # all were written by this run
            sizes += np.diff(head.offsets(file, 0, head.partitions))
    offsets = np.append(np.zeros(1, np.int64), np.cumsum(sizes))
    with replaced(path) as temporary, temporary.open("wb") as out:
        out.write(len(header).to_bytes(8, "little") + header + offsets.tobytes())
        for begin, end in _ranges(sizes.reshape(head.partitions, -1).sum(axis=1), room_bytes):
            out.write(_merged_range(sources, begin, end).data)


@dataclass(frozen=True, kw_only=True)
class _Head:
    """What stands before the data of a block file (``blocks``)."""

    text: bytes
    partitions: int
    columns: tuple[str, ...]

    @classmethod
    def read(cls, file: BinaryIO) -> "_Head":
        text = file.read(int.from_bytes(file.read(8), "little"))
        header = json.loads(text)
        return cls(text=text, partitions=header["partitions"], columns=tuple(name for name, *_ in header["columns"]))

    def offsets(self, file: BinaryIO, begin: int, end: int) -> I64:
        """Return where the columns of partitions ``begin`` to ``end`` begin in the data, and where the last ends."""
        file.seek(8 + len(self.text) + 8 * begin * len(self.columns))
        return np.frombuffer(file.read(8 * ((end - begin) * len(self.columns) + 1)), np.int64)

    def data(self, file: BinaryIO, offsets: I64) -> bytes:
        file.seek(8 + len(self.text) + 8 * (self.partitions * len(self.columns) + 1) + int(offsets[0]))
        return file.read(int(offsets[-1] - offsets[0]))


def _ranges(partition_bytes: I64, room_bytes: int) -> list[tuple[int, int]]:
    """Cut the partitions into runs of at most ``room_bytes``, or of one partition."""
    ranges: list[tuple[int, int]] = []
    begin = held = 0
    for number, size in enumerate(partition_bytes.tolist()):
        if number > begin and held + size > room_bytes:
            ranges.append((begin, number))
            begin, held = number, 0
        held += size
    return [*ranges, (begin, len(partition_bytes))]


def _merged_range(sources: Sequence[BlockSource], begin: int, end: int) -> U8:
    """Return the data of partitions ``begin`` to ``end`` of all sources."""
    from preprocess.work.pieces_kernel import add_to_pieces  # loads Numba

    data: list[bytes] = []
    begins, sizes, terms = [], [], []
    place = 0
    for source in sources:
        with source.path.open("rb", buffering=0) as file:
            head = _Head.read(file)
            offsets = head.offsets(file, begin, end)
            data.append(head.data(file, offsets))
        begins.append(place + offsets[:-1] - offsets[0])
        sizes.append(np.diff(offsets))
        terms.append([source.terms.get(name, 0) for name in head.columns])
        place += len(data[-1])
    # [partitions * columns, sources], so that the sources' pieces of one column stand side by side
    joined = np.frombuffer(b"".join(data), np.uint8)
    del data
    in_order = np.stack(sizes, axis=1).ravel()
    merged = gathered(joined, np.stack(begins, axis=1).ravel(), in_order)
    add_to_pieces(merged, in_order, np.tile(np.array(terms, np.int64).T, (end - begin, 1)).ravel())
    return merged
