"""Files of NumPy columns cut into partitions: how stages hand rows to each other through the disk.

A hash join of any size reads, of each file, what one partition needs. For these reads to be large, many small files
become one (``merge_blocks``). A file holds the same columns for each partition, partition after partition, so that one
read fetches what one partition needs::

    bytes                what
    8                    length H of the header, little-endian
    H                    JSON: {"partitions": P, "columns": [[name, dtype, width of a 2-D column or null], ...]}
    8 * (P * C + 1)      int64: where each (partition, column) begins, from the start of the data; the last is the end
    ...                  the data: partition 0 column 0, partition 0 column 1, ..., little-endian, no padding
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from esmm_dist.arrays import I64, U8, Array
from preprocess.work.folder import replaced


@dataclass(frozen=True, kw_only=True)
class Column:
    """Entries sorted by partition."""

    data: Array
    """[N] or [N, items]."""
    splits: I64
    """Partition p holds entries splits[p] to splits[p + 1]: int64 [P + 1]."""


def write_blocks(path: Path, columns: Mapping[str, Column]) -> I64:
    """Write one block file under a temporary name and rename it; return the bytes of each partition, int64 [P]."""
    partitions = len(next(iter(columns.values())).splits) - 1
    heads = [[name, c.data.dtype.str, c.data.shape[1] if c.data.ndim == 2 else None] for name, c in columns.items()]
    header = json.dumps({"partitions": partitions, "columns": heads}).encode()
    sizes = np.stack([np.diff(c.splits) * _entry_bytes(c.data) for c in columns.values()], axis=1)
    offsets = np.zeros(sizes.size + 1, np.int64)
    np.cumsum(sizes.ravel(), out=offsets[1:])
    with replaced(path) as temporary, temporary.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header + offsets.tobytes())
        if partitions == 1:  # the columns as they are
            for column in columns.values():
                file.write(_bytes_of(column.data[column.splits[0] : column.splits[1]]).data)
        else:
            file.write(_by_partition(columns.values(), sizes).data)
    total: I64 = sizes.sum(axis=1)
    return total


def _by_partition(columns: Collection[Column], sizes: I64) -> U8:
    """Return the bytes of all columns, partition by partition; ``sizes``: bytes of each, int64 [P, C]."""
    datas = [_bytes_of(column.data) for column in columns]
    ends = np.cumsum([len(data) for data in datas])
    begins = [
        end - len(data) + column.splits[:-1] * _entry_bytes(column.data)
        for end, data, column in zip(ends, datas, columns, strict=True)
    ]
    return gathered(np.concatenate(datas), np.stack(begins, axis=1).ravel(), sizes.ravel())


def gathered(data: U8, begins: I64, sizes: I64) -> U8:
    """Return pieces of ``data`` one after the other: uint8 [sizes.sum()].

    Args:
        data: uint8
        begins: where each piece begins, int64 [pieces]
        sizes: bytes of each piece, int64 [pieces]
    """
    from preprocess.work.pieces_kernel import gather_pieces  # loads Numba

    out = np.empty(int(sizes.sum()), np.uint8)
    gather_pieces(data, begins, sizes, out)
    return out


def read_block(path: Path, partition: int, names: Sequence[str]) -> dict[str, Array]:
    """Read the named columns of one partition; columns that stand side by side in the file are one read."""
    with path.open("rb", buffering=0) as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        columns = header["columns"]
        table = 8 + length
        file.seek(table + 8 * partition * len(columns))
        offsets = np.frombuffer(file.read(8 * (len(columns) + 1)), np.int64)
        wanted = [i for i, (name, _, _) in enumerate(columns) if name in names]
        base = int(offsets[wanted[0]])
        file.seek(table + 8 * (header["partitions"] * len(columns) + 1) + base)
        data = memoryview(file.read(int(offsets[wanted[-1] + 1]) - base))
    result: dict[str, Array] = {}
    for i in wanted:
        name, dtype, items = columns[i]
        array = np.frombuffer(data[int(offsets[i]) - base : int(offsets[i + 1]) - base], np.dtype(dtype))
        # A width of 0 says nothing about the number of entries; the first column, which is 1-D, does.
        entries = len(next(iter(result.values()))) if items == 0 else -1
        result[name] = array if items is None else array.reshape(entries, items)
    return result


def save_array(path: Path, array: Array) -> None:
    """Write an array under a temporary name and rename it."""
    with replaced(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)


def _bytes_of(data: Array) -> U8:
    return np.ascontiguousarray(data).reshape(-1).view(np.uint8)


def _entry_bytes(data: Array) -> int:
    return int(data.dtype.itemsize * np.prod(data.shape[1:], dtype=np.int64))
