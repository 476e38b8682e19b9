"""Files that tell which ids a field or a table keeps; workers map them into memory, so that they share the pages.

A file is a table of one byte an id where the ids are close together (about 10 ns a lookup), else the sorted ids
(binary search, about 250 ns).
"""

from pathlib import Path

import numpy as np

from esmm_dist.arrays import I64, Array, Bools
from esmm_dist.schema.fields import Schema
from preprocess.work.blocks import save_array

_TABLE_BYTES_PER_ID = 16  # a table may be twice as large as the sorted ids would be


def lookup_path(work: Path, field: int) -> Path:
    """Return the path of the lookup file of a field."""
    return work / "counts" / f"lookup-{field:03d}.npy"


def table_lookup_path(work: Path, table: int) -> Path:
    """Return the path of the lookup file of the ids that a table knows."""
    return work / "counts" / f"lookup-table-{table:03d}.npy"


def write_lookup(path: Path, ids: I64) -> None:
    """Write the ids, sorted int64 [N], of a field or a table."""
    if len(ids) and int(ids[-1]) - int(ids[0]) < _TABLE_BYTES_PER_ID * len(ids):
        # [first id as 8 bytes, then one byte for each id of the range]
        table = np.zeros(8 + int(ids[-1]) - int(ids[0]) + 1, np.uint8)
        table[:8] = ids[:1].view(np.uint8)
        table[8 + ids - ids[0]] = 1
        save_array(path, table)
    else:
        save_array(path, ids)


class VocabularyFilter:
    """Tells which ids of a field are in the vocabulary. The files are mapped, so processes share their pages."""

    def __init__(self, work: Path, schema: Schema) -> None:
        """Map the lookup files of all fields and tables."""
        fields, tables = range(len(schema.fields)), range(len(schema.tables))
        self._files: list[Array] = [np.load(lookup_path(work, index), mmap_mode="r") for index in fields]
        self._tables: list[Array] = [np.load(table_lookup_path(work, t), mmap_mode="r") for t in tables]
        self._table_of_field = [schema.tables.index(field.table) for field in schema.fields]

    def contains(self, field: int, ids: I64) -> Bools:
        """Return for each id of the field whether it is kept: bool [N]."""
        found = _contains(self._files[field], ids)
        known = self._tables[self._table_of_field[field]]
        return found | _contains(known, ids) if len(known) else found


class EveryId:
    """Stands for a vocabulary that holds every id."""

    def contains(self, field: int, ids: I64) -> Bools:
        """Return that each id of the field is kept: bool [N]."""
        return np.ones(len(ids), np.bool_)


def _contains(file: Array, ids: I64) -> Bools:
    if file.dtype == np.uint8:
        first = int(np.array(file[:8]).view(np.int64)[0])
        table = file[8:]
        inside = (ids >= first) & (ids <= first + len(table) - 1)
        found: Bools = table[np.where(inside, ids - first, 0)].astype(np.bool_) & inside
        return found
    if not len(file):
        return np.zeros(len(ids), np.bool_)
    place = np.minimum(np.searchsorted(file, ids), len(file) - 1)
    matches: Bools = file[place] == ids
    return matches
