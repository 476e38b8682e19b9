"""The ids that a model knows: those that have a row in its checkpoint.

Rows do not say to which field an id belongs, so an id is known to every field of its table.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from esmm_dist.arrays import Bools, Ids
from esmm_dist.checkpoint.reader import Checkpoint
from esmm_dist.embedding.id_map import IdMap
from esmm_dist.embedding.table_files import read_rows


class RowIds:
    """Tells which ids of a table have a row; 16 bytes an id. Several threads may ask at once."""

    def __init__(self, batches: Iterable[tuple[str, Ids]], expected: Mapping[str, int]) -> None:
        """Take all ids.

        Args:
            batches: name of the table and ids int64 [N] of its rows; no id twice in a table
            expected: about how many ids each table has
        """
        self._maps = {table: IdMap(expected_ids=rows) for table, rows in expected.items()}
        for table, ids in batches:
            self._maps[table].put(ids, np.zeros(len(ids), np.int64))

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint) -> "RowIds":
        """Read the ids of a checkpoint's rows, a file at a time.

        Raises:
            CheckpointError: A file is missing or damaged.
        """
        expected: dict[str, int] = {}
        for file in checkpoint.manifest.tables:
            if file.kind == "rows":
                expected[file.table] = expected.get(file.table, 0) + file.rows
        return cls(ids_of_rows(checkpoint), expected)

    def contain(self, table: str, ids: Ids) -> Bools:
        """Return for each id whether it has a row: bool [N].

        Args:
            table: name of the table; one that has no row at all may be unknown here
            ids: int64 [N], in any order
        """
        if table not in self._maps:
            return np.zeros(len(ids), np.bool_)
        known: Bools = self._maps[table].find(ids) >= 0
        return known


def ids_of_rows(checkpoint: Checkpoint) -> Iterator[tuple[str, Ids]]:
    """Yield the table and the ids int64 [N] of one file of a checkpoint's rows after the other.

    Raises:
        CheckpointError: A file is missing or damaged.
    """
    for file in checkpoint.manifest.tables:
        if file.kind == "rows":
            yield file.table, read_rows(checkpoint.folder, file).ids
