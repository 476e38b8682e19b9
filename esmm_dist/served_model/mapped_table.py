"""One table of a served model, mapped from disk."""

from collections.abc import Sequence

import numpy as np

from esmm_dist.arrays import F32, I64, Bools, Ids
from esmm_dist.embedding.placement import NUM_BUCKETS
from esmm_dist.embedding.start_values import PICK_BITS
from esmm_dist.hashing import GOLDEN
from esmm_dist.kernels.mapped_rows import SEARCHED_TOGETHER, find_rows, read_float16, read_float32, read_int8
from esmm_dist.served_model.layers import Layer, RowChanges, merged
from esmm_dist.served_model.manifest import RowType
from esmm_dist.served_model.row_types import dtype_of

_READERS = {"float32": read_float32, "float16": read_float16, "int8": read_int8}


class MappedTable:
    """Rows of a table by id.

    It never changes and has no lock: any number of threads may call it. Rows lie in files that the system loads when
    they are read and shares between processes; a file that is cut while it is mapped ends the process (SIGBUS).
    """

    def __init__(
        self, layers: Sequence[Layer], *, num_rows: int, row_type: RowType, start_rows: F32, seed: int
    ) -> None:
        """Take over the rows.

        Args:
            layers: newest first; the last is the full version's
            num_rows: rows that they have together
            row_type: how rows are stored
            start_rows: float32 [2^16, D]: what ids without a row read
            seed: seed of the start values
        """
        assert start_rows.shape[0] == 1 << PICK_BITS
        self.num_rows = num_rows
        self.row_type = row_type
        self.layers = tuple(layers)
        self.start_rows = start_rows
        self.seed = seed
        self._index: I64 = np.ascontiguousarray([each.index for each in layers]).reshape(-1, NUM_BUCKETS, 4)
        self._read = _READERS[row_type]
        self._start_offset = np.uint64((seed + 1) * int(GOLDEN) & 0xFFFF_FFFF_FFFF_FFFF)
        self._row_bytes = self.embedding_dim * np.dtype(dtype_of(row_type)).itemsize

    @property
    def embedding_dim(self) -> int:
        """D."""
        return int(self.start_rows.shape[1])

    def find(self, ids: Ids) -> tuple[F32, Bools]:
        """Return the rows of ids, and which ids have one; the others read their start row.

        Args:
            ids: int64 [U], in any order

        Returns:
            float32 [U, D] and bool [U].
        """
        ids = np.ascontiguousarray(ids)
        return self.read(ids, self.places(ids))

    def read(self, ids: Ids, places: I64) -> tuple[F32, Bools]:
        """Return what ``find`` returns, where the places are known.

        Args:
            ids: int64 [U], contiguous
            places: int64 [2, U], what ``places`` of this table has returned for them
        """
        rows, found = np.empty((len(ids), self.embedding_dim), dtype=np.float32), np.empty(len(ids), dtype=np.bool_)
        self._read(ids, places, self.start_rows, self._start_offset, rows, found)
        return rows, found

    def knows(self, ids: Ids) -> Bools:
        """Return which ids int64 [U], in any order, have a row: bool [U]."""
        rows_at = self.places(np.ascontiguousarray(ids))[0]
        return np.asarray(rows_at != 0)

    def rows_in(self, first_bucket: int, last_bucket: int) -> RowChanges:
        """Return the rows of buckets ``[first_bucket, last_bucket)`` in stored form, by (bucket, id): a copy."""
        return merged(self.layers, first_bucket, last_bucket, embedding_dim=self.embedding_dim, row_type=self.row_type)

    def places(self, ids: Ids) -> I64:
        """Return the addresses of the rows of ids int64 [U], 0 where there is none, and of their scales: int64 [2, U].

        Addresses mean something as long as this table exists.
        """
        places = np.empty((2, len(ids)), dtype=np.int64)
        find_rows(self._index, ids, self._row_bytes, places, np.empty((3, SEARCHED_TOGETHER), dtype=np.int64))
        return places
