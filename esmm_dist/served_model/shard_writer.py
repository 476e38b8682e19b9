"""Write the rows of a table as shards by range of buckets, in the memory of one part."""

from pathlib import Path

import numpy as np

from esmm_dist.arrays import I64, Ids
from esmm_dist.embedding.placement import bucket_of
from esmm_dist.served_model.layers import RowChanges, begins_of
from esmm_dist.served_model.manifest import TABLES_FOLDER, RowType, ServedShard
from esmm_dist.served_model.npy_files import NpyOutput, write_npy
from esmm_dist.served_model.row_types import dtype_of

SHARD_BYTES = 1 << 30
"""Largest shard: ids, values and scales. A bucket with more rows than that, and it alone, makes a larger one."""


class ShardWriter:
    """Writes rows as they come; small ranges of buckets share a shard, and a large one becomes several."""

    def __init__(
        self, served: Path, table: str, row_type: RowType, embedding_dim: int, *, shard_bytes: int = SHARD_BYTES
    ) -> None:
        """Begin without a shard.

        Args:
            served: folder ``served`` of the version
            table: name of the table
            row_type: how rows are stored
            embedding_dim: D
            shard_bytes: largest shard
        """
        self._served, self._table, self._row_type, self._dim = served, table, row_type, embedding_dim
        value_bytes = np.dtype(dtype_of(row_type)).itemsize * embedding_dim
        self._most_rows = shard_bytes // (8 + value_bytes + (0 if row_type == "float32" else 4))
        self._shards: list[ServedShard] = []
        self._open: _OpenShard | None = None

    def add(self, first_bucket: int, last_bucket: int, found: RowChanges) -> None:
        """Write what a table has in buckets ``[first_bucket, last_bucket)``, which follow those before."""
        begins = begins_of(found.ids, first_bucket, last_bucket)
        removed_buckets = bucket_of(found.removed)
        first = first_bucket
        while first < last_bucket:
            before = 0 if self._open is None else self._open.rows
            room = max(self._most_rows - before, 0)
            fits = int(np.searchsorted(begins, begins[first - first_bucket] + room, side="right")) - 1 + first_bucket
            if fits == first and before:
                self._close()
                continue
            last = min(max(fits, first + 1), last_bucket)
            of_range = begins[first - first_bucket : last - first_bucket + 1]
            removed = found.removed[(removed_buckets >= first) & (removed_buckets < last)]
            if self._open is None and (of_range[0] != of_range[-1] or len(removed)):
                self._open = _OpenShard(self._served, self._stem(), first, self._row_type, self._dim)
            if self._open is not None:
                self._open.add(last, of_range, found, removed)
            if last < last_bucket:
                self._close()
            first = last

    def finish(self) -> tuple[ServedShard, ...]:
        """Return all shards; their files are on the disk."""
        self._close()
        return tuple(self._shards)

    def _close(self) -> None:
        if self._open is not None:
            self._shards.append(self._open.close())
            self._open = None

    def _stem(self) -> str:
        return f"{TABLES_FOLDER}/{self._table}-{len(self._shards):04d}"


class _OpenShard:
    """A shard that rows are written to."""

    def __init__(self, served: Path, stem: str, first_bucket: int, row_type: RowType, embedding_dim: int) -> None:
        self._served, self._stem = served, stem
        self._first_bucket = self._last_bucket = first_bucket
        self._ids = NpyOutput(served, f"{stem}.ids.npy", np.int64)
        self._values = NpyOutput(served, f"{stem}.rows.npy", dtype_of(row_type), (embedding_dim,))
        self._scales = None if row_type == "float32" else NpyOutput(served, f"{stem}.scales.npy", np.float32)
        self._begins: list[I64] = [np.zeros(1, dtype=np.int64)]
        self._removed: list[Ids] = []

    @property
    def rows(self) -> int:
        """Rows written."""
        return self._ids.rows

    def add(self, last_bucket: int, begins: I64, found: RowChanges, removed: Ids) -> None:
        """Write the rows of the next buckets, up to ``last_bucket``, whose places in ``found`` are ``begins``."""
        rows = slice(int(begins[0]), int(begins[-1]))
        self._begins.append(self.rows + begins[1:] - begins[0])
        self._ids.append(found.ids[rows])
        self._values.append(found.values[rows])
        if self._scales is not None:
            assert found.scales is not None
            self._scales.append(found.scales[rows])
        self._removed.append(removed)
        self._last_bucket = last_bucket

    def close(self) -> ServedShard:
        """Return the shard; its files are on the disk."""
        removed = np.sort(np.concatenate(self._removed))
        return ServedShard(
            first_bucket=self._first_bucket,
            last_bucket=self._last_bucket,
            rows=self.rows,
            ids=self._ids.close(),
            begins=write_npy(self._served, f"{self._stem}.begins.npy", np.concatenate(self._begins)),
            values=self._values.close(),
            scales=None if self._scales is None else self._scales.close(),
            removed=write_npy(self._served, f"{self._stem}.removed.npy", removed) if len(removed) else None,
        )
