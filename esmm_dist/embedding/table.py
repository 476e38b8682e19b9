"""One embedding table: hash table id -> row number, and the slab that holds rows and slot variables."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.placement import bucket_of
from esmm_dist.embedding.row_index import NO_ROW, RowIndex
from esmm_dist.embedding.slab import Slab
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.errors import StackError

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_BLOCK_ROWS = 8192  # of 32-48 floats: a block and its temporaries stay in a core's cache (14 ms -> 11 ms a push)


@dataclass(frozen=True, kw_only=True)
class TableRows:
    """Rows of a table as they are saved: ordered by id."""

    ids: Ids
    """int64 [n]"""
    rows: Floats
    """float32 [n, D]"""
    slots: Floats
    """float32 [n, S]: slot variables of the optimizer"""
    last_step: npt.NDArray[np.int64]
    """int64 [n]: the step that changed the row last"""
    count: npt.NDArray[np.int64]
    """int64 [n]: how many steps have changed the row"""


class EmbeddingTable:
    """Rows of one id space.

    A row exists from its first push on; before, ``pull`` gives its start value. Not thread-safe: one thread at a time
    may call in; ``EmbeddedStore`` and the server each see to that.
    """

    def __init__(self, name: str, config: EmbeddingConfig, *, seed: int, max_rows: int | None = None) -> None:
        """Make an empty table.

        Args:
            name: Of the table in the schema; named in errors.
            config: Dimension, optimizer and start values.
            seed: Of the run; start values derive from it.
            max_rows: Rows to reserve address space for. None: what the machine's memory would hold.
        """
        self.name = name
        self.embedding_dim = config.dim_of(name)
        self._config = config
        self._optimizer = config.make_optimizer()
        self.slot_columns = self._optimizer.slot_columns(self.embedding_dim)
        self._start = StartValues(embedding_dim=self.embedding_dim, scale=config.start_scale, seed=seed)
        self._index = RowIndex(name)
        self._values = Slab(columns=self.embedding_dim + self.slot_columns, dtype=np.float32, max_rows=max_rows)
        # id, last step, count of each row: what saving, admission and eviction ask for
        self._meta = Slab(columns=3, dtype=np.int64, max_rows=max_rows)
        self._max_rows = min(self._values.max_rows, self._meta.max_rows)
        self._used = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._used

    @property
    def memory_bytes(self) -> int:
        """Bytes that the rows, slot variables and their metadata take, without the hash table."""
        return self._used * (self._values.rows.itemsize * self._values.rows.shape[1] + 3 * 8)

    def pull(self, ids: Ids) -> Floats:
        """Read rows; creates none.

        Args:
            ids: int64 [U], strictly ascending.

        Returns:
            float32 [U, D]: the row of each id, or its start value.

        Raises:
            ValueError: The ids are not strictly ascending.
        """
        self._check_ids(ids)
        if len(ids) == 0:
            return np.empty((0, self.embedding_dim), dtype=np.float32)
        found = self._index.find(ids)
        # 'clip' reads row 0 for an unseen id, and lets NumPy skip a check per row; its value is replaced below
        rows = self._values.rows.take(found, axis=0, mode="clip")[:, : self.embedding_dim]
        unseen = found == NO_ROW
        if unseen.any():
            rows[unseen] = self._start.rows(ids[unseen])
        return np.ascontiguousarray(rows)

    def push(self, ids: Ids, gradient_sums: Floats, *, impressions: int, step: int) -> None:
        """Update rows with the optimizer; creates those that do not exist yet.

        Args:
            ids: int64 [U], strictly ascending.
            gradient_sums: float32 [U, D], the gradient of the loss summed over the step's impressions.
            impressions: Number of impressions in the step, over all ranks; the sums are divided by it.
            step: The optimizer step, 1, 2, ...

        Raises:
            ValueError: The ids are not strictly ascending, or the gradients have another shape.
            StackError: The table would outgrow the machine's memory.
        """
        self._check_ids(ids)
        if gradient_sums.shape != (len(ids), self.embedding_dim):
            raise ValueError(
                f"Table '{self.name}': gradients have shape {list(gradient_sums.shape)}, "
                f"expected [{len(ids)}, {self.embedding_dim}]"
            )
        if len(ids) == 0:
            return
        rows = self._rows_of(ids)
        values, meta = self._values.rows, self._meta.rows
        scale, l2 = np.float32(1.0 / impressions), np.float32(self._config.embedding_l2)
        for start in range(0, len(ids), _BLOCK_ROWS):
            part = slice(start, start + _BLOCK_ROWS)
            block = values.take(rows[part], axis=0, mode="clip")
            gradients = gradient_sums[part] * scale
            if l2:
                gradients += l2 * block[:, : self.embedding_dim]
            self._optimizer.update(block, gradients, learning_rate=self._config.embedding_learning_rate, step=step)
            values[rows[part]] = block
        meta[rows, 1] = step
        meta[rows, 2] += 1

    def export(self, first_bucket: int, last_bucket: int) -> TableRows:
        """Return copies of the rows of buckets ``[first_bucket, last_bucket)``, ordered by id."""
        meta = self._meta.rows[: self._used]
        buckets = bucket_of(meta[:, 0])
        rows = np.flatnonzero((buckets >= first_bucket) & (buckets < last_bucket))
        rows = rows[np.argsort(meta[rows, 0])]
        values = self._values.rows.take(rows, axis=0)
        chosen = meta[rows]
        return TableRows(
            ids=np.ascontiguousarray(chosen[:, 0]),
            rows=np.ascontiguousarray(values[:, : self.embedding_dim]),
            slots=np.ascontiguousarray(values[:, self.embedding_dim :]),
            last_step=np.ascontiguousarray(chosen[:, 1]),
            count=np.ascontiguousarray(chosen[:, 2]),
        )

    def load(self, saved: TableRows) -> None:
        """Add saved rows whose ids the table does not hold yet.

        Raises:
            ValueError: The rows have another dimension or another number of slot variables than this table.
            StackError: The table would outgrow the machine's memory.
        """
        if saved.rows.shape[1] != self.embedding_dim or saved.slots.shape[1] != self.slot_columns:
            raise ValueError(
                f"Table '{self.name}': saved rows have {saved.rows.shape[1]} columns and {saved.slots.shape[1]} slot "
                f"variables, the table has {self.embedding_dim} and {self.slot_columns}"
            )
        numbers = self._append(saved.ids)
        part = slice(int(numbers[0]), int(numbers[0]) + len(numbers)) if len(numbers) else slice(0, 0)
        self._values.rows[part, : self.embedding_dim] = saved.rows
        self._values.rows[part, self.embedding_dim :] = saved.slots
        self._meta.rows[part, 1] = saved.last_step
        self._meta.rows[part, 2] = saved.count

    def _rows_of(self, ids: Ids) -> Ids:
        """Return the row number of each id, giving new rows to unseen ids."""
        rows = self._index.find(ids)
        unseen = rows == NO_ROW
        if unseen.any():
            new_ids = ids[unseen]
            numbers = self._append(new_ids)
            rows[unseen] = numbers
            part = slice(int(numbers[0]), int(numbers[0]) + len(numbers))
            self._values.rows[part, : self.embedding_dim] = self._start.rows(new_ids)
            self._values.rows[part, self.embedding_dim :] = self._optimizer.start_slot_value()
        return rows

    def _append(self, ids: Ids) -> Ids:
        """Give the next free row numbers to new ids; their values are set by the caller."""
        if self._used + len(ids) > self._max_rows:
            raise StackError(
                f"Table '{self.name}' would need {self._used + len(ids):,} rows; this machine's memory holds "
                f"{self._max_rows:,}. Raise --min-count in preprocess, or lower --embedding-dim."
            )
        numbers = np.arange(self._used, self._used + len(ids), dtype=np.int64)
        self._index.add(ids, numbers)
        self._meta.rows[self._used : self._used + len(ids), 0] = ids
        self._used += len(ids)
        return numbers

    def _check_ids(self, ids: Ids) -> None:
        if len(ids) > 1 and not bool(np.all(ids[1:] > ids[:-1])):
            at = int(np.argmin(ids[1:] > ids[:-1]))
            raise ValueError(
                f"Table '{self.name}': ids must be strictly ascending; id {ids[at + 1]} follows {ids[at]} at {at + 1}"
            )
