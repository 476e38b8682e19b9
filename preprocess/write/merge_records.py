"""Between stages 5 and 6: make few sorted files of the records of many partitions.

A slice of the global order takes its records from every file. With the number of partitions, which grows with the
input as the number of slices does, reads would grow with its square. So the records of more than ``MOST_FILES``
partitions are merged first, one range of keys after the other, and a slice reads 256 kB of each file.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from esmm_dist.arrays import I64, U8, U64
from preprocess.read.feature_rows import splits_of
from preprocess.work.blocks import gathered
from preprocess.work.folder import replaced
from preprocess.work.workers import Result
from preprocess.write.records import INDEX_DTYPE, index_path, records_path

MOST_FILES = 64
"""Files that a slice of 16 MB is read from."""

_INDEX_ENTRIES = 1 << 18  # read at once, 7 MB


def group_names(names: Sequence[str]) -> list[Sequence[str]]:
    """Cut the names of partitions into at most ``MOST_FILES`` groups of neighbours."""
    size = max(1, -(-len(names) // MOST_FILES))
    return [names[first : first + size] for first in range(0, len(names), size)]


def merge_records(work: Path, names: Sequence[str], merged: str, room_bytes: int) -> Result:
    """Write the records of some partitions, and their index, as those of one.

    Args:
        work: the run's folder
        names: names of the partitions
        merged: name of the result
        room_bytes: bytes of records that are held at once; twice that is in memory
    """
    total = sum(records_path(work, name).stat().st_size for name in names)
    bounds = key_bounds(max(1, -(-total // room_bytes)))
    cuts = np.stack([cut_index(work, name, bounds) for name in names])
    place = 0
    with (
        replaced(records_path(work, merged)) as records_name,
        replaced(index_path(work, merged)) as index_name,
        records_name.open("wb") as records,
        index_name.open("wb") as index_file,
    ):
        for k in range(len(bounds) + 1):
            index, data = read_records(work, names, cuts[:, k], cuts[:, k + 1])
            sizes = index["length"].astype(np.int64)
            order = np.lexsort((index["crc"], index["key"]))
            records.write(gathered(data, splits_of(sizes)[order], sizes[order]).data)
            index = index[order]
            index["offset"] = place + splits_of(sizes[order])[:-1]
            index.tofile(index_file)
            place += int(sizes.sum())
    return {"bytes": place}


def key_bounds(parts: int) -> U64:
    """Return the record keys where all but the first of equal ranges of keys begin: uint64 [parts - 1]."""
    return np.array([(k << 64) // parts for k in range(1, parts)], np.uint64)


def cut_index(work: Path, name: str, bounds: U64) -> I64:
    """Return where ranges of keys begin in an index: int64 [len(bounds) + 2], from 0 to its number of entries.

    Args:
        work: the run's folder
        name: name of the partition
        bounds: first keys of all but the first range, ascending
    """
    path = index_path(work, name)
    entries = path.stat().st_size // INDEX_DTYPE.itemsize
    cuts = np.zeros(len(bounds) + 2, np.int64)
    for first in range(0, entries, _INDEX_ENTRIES):
        block = np.fromfile(path, INDEX_DTYPE, _INDEX_ENTRIES, offset=first * INDEX_DTYPE.itemsize)
        cuts[1:-1] += np.searchsorted(block["key"], bounds)  # keys ascend, so earlier blocks are below in full
    cuts[-1] = entries
    return cuts


def read_records(work: Path, names: Sequence[str], begins: I64, ends: I64) -> tuple[npt.NDArray[np.void], U8]:
    """Read some neighbouring records of each partition.

    Args:
        work: the run's folder
        names: names of the partitions
        begins: where they begin in each index, int64 [names]
        ends: where they end

    Returns:
        Their index, one partition after the other, and their bytes in the same order.
    """
    indexes, datas = [np.zeros(0, INDEX_DTYPE)], []
    for name, begin, end in zip(names, begins.tolist(), ends.tolist(), strict=True):
        if begin < end:
            here = np.fromfile(index_path(work, name), INDEX_DTYPE, end - begin, offset=begin * INDEX_DTYPE.itemsize)
            with records_path(work, name).open("rb", buffering=0) as file:
                file.seek(int(here["offset"][0]))
                datas.append(file.read(int(here["length"].sum(dtype=np.int64))))
            indexes.append(here)
    return np.concatenate(indexes), np.frombuffer(b"".join(datas), np.uint8)
