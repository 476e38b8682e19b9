"""One embedding table: hash table id -> row number, and the slab that holds rows and slot variables."""

from dataclasses import dataclass

import numpy as np

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.placement import bucket_of
from esmm_dist.embedding.row_index import NO_ROW, RowIndex
from esmm_dist.embedding.slab import Slab
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.embedding.table_rows import Floats, Ids, TableRows
from esmm_dist.errors import StackError

_META_COLUMNS = 2
_BLOCK_ROWS = 2048  # of 32-48 floats: a block and its temporaries stay in a core's cache (27 ms -> 11 ms a push)


@dataclass(frozen=True, kw_only=True)
class _Pulled:
    """What the last pull read: a push of the same ids that follows it starts from here and reads nothing."""

    ids: Ids
    numbers: Ids
    block: Floats


class EmbeddingTable:
    """Rows of one id space.

    A row exists from its first push on; before, ``pull`` gives its start value. Not thread-safe: one thread at a time
    may call in, but for ``locate``. Arrays given to ``pull`` must not be changed before the push that follows.
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
        # A row of the slab is the row, its slot variables, and as int32 its last step and count: one stretch of memory,
        # so that an update is one read and one write of it
        columns = self.embedding_dim + self.slot_columns
        self._values = Slab(columns=columns + _META_COLUMNS, dtype=np.float32, max_rows=max_rows)
        self._ids = Slab(columns=1, dtype=np.int64, max_rows=max_rows)
        self._max_rows = min(self._values.max_rows, self._ids.max_rows)
        self._used = 0
        self._located: dict[int, tuple[Ids, Ids]] = {}
        self._pulled: _Pulled | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._used

    @property
    def memory_bytes(self) -> int:
        """Bytes that the rows, slot variables and their metadata take, without the hash table."""
        return self._used * (self._values.row_bytes + self._ids.row_bytes)

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
        numbers = self._find(ids)
        # 'clip' reads row 0 for an unseen id, and lets NumPy skip a check per row; its value is replaced below
        block = self._values.rows.take(numbers, axis=0, mode="clip")
        unseen = numbers == NO_ROW
        if unseen.any():
            block[unseen] = self._new_rows(ids[unseen])
        self._pulled = _Pulled(ids=ids, numbers=numbers, block=block)
        return np.ascontiguousarray(block[:, : self.embedding_dim])

    def locate(self, ids: Ids) -> None:
        """Find the rows of ids that will be pulled soon, so that ``pull`` need not.

        May run in another thread, beside ``pull`` and ``push``: rows do not move, and ids that are unseen now are
        looked up again by ``pull``. The hash table is half of a pull's time (measured at 4.5 M rows).

        Args:
            ids: int64 [U]; the very array that ``pull`` will be given.
        """
        self._located[id(ids)] = (ids, self._index.find(ids))

    def push(self, ids: Ids, gradient_sums: Floats, *, impressions: int, step: int, rate_factor: float = 1.0) -> None:
        """Update rows with the optimizer; creates those that do not exist yet.

        Args:
            ids: int64 [U], strictly ascending.
            gradient_sums: float32 [U, D], the gradient of the loss summed over the step's impressions.
            impressions: Number of impressions in the step, over all ranks; the sums are divided by it.
            step: The optimizer step, 1, 2, ...
            rate_factor: Multiplies the learning rate: schedules live in training and come with each push.

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
        pulled, self._pulled = self._pulled, None
        if pulled is None or pulled.ids is not ids:
            self.pull(ids)
            pulled, self._pulled = self._pulled, None
        assert pulled is not None
        numbers, block = pulled.numbers, pulled.block
        unseen = numbers == NO_ROW
        if unseen.any():
            numbers[unseen] = self._append(ids[unseen])
        scale, l2 = np.float32(1.0 / impressions), np.float32(self._config.embedding_l2)
        width = self.embedding_dim + self.slot_columns
        for start in range(0, len(ids), _BLOCK_ROWS):
            part = block[start : start + _BLOCK_ROWS]
            gradients = gradient_sums[start : start + _BLOCK_ROWS] * scale
            if l2:
                gradients += l2 * part[:, : self.embedding_dim]
            learning_rate = self._config.embedding_learning_rate * rate_factor
            self._optimizer.update(part[:, :width], gradients, learning_rate=learning_rate, step=step)
            meta = part.view(np.int32)[:, width:]
            meta[:, 0] = step
            meta[:, 1] += 1
            self._values.put(numbers[start : start + _BLOCK_ROWS], part)

    def export(self, first_bucket: int, last_bucket: int) -> TableRows:
        """Return copies of the rows of buckets ``[first_bucket, last_bucket)``, ordered by id."""
        all_ids = self._ids.rows[: self._used, 0]
        buckets = bucket_of(all_ids)
        numbers = np.flatnonzero((buckets >= first_bucket) & (buckets < last_bucket))
        numbers = numbers[np.argsort(all_ids[numbers])]
        block = self._values.rows.take(numbers, axis=0)
        dim, width = self.embedding_dim, self.embedding_dim + self.slot_columns
        meta = block.view(np.int32)[:, width:].astype(np.int64)
        return TableRows(
            ids=all_ids[numbers],
            rows=np.ascontiguousarray(block[:, :dim]),
            slots=np.ascontiguousarray(block[:, dim:width]),
            last_step=np.ascontiguousarray(meta[:, 0]),
            count=np.ascontiguousarray(meta[:, 1]),
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
        if len(saved.ids) == 0:
            return
        numbers = self._append(saved.ids)
        self._pulled = None
        part = self._values.rows[numbers[0] : numbers[-1] + 1]
        dim, width = self.embedding_dim, self.embedding_dim + self.slot_columns
        part[:, :dim] = saved.rows
        part[:, dim:width] = saved.slots
        meta = part.view(np.int32)[:, width:]
        meta[:, 0] = saved.last_step
        meta[:, 1] = saved.count

    def _find(self, ids: Ids) -> Ids:
        """Return the row number of each id, -1 where it has none."""
        _, numbers = self._located.pop(id(ids), (None, None))
        if numbers is None:
            return self._index.find(ids)
        unseen = np.flatnonzero(numbers == NO_ROW)
        if len(unseen):  # a push since then may have created some
            numbers[unseen] = self._index.find(ids[unseen])
        return numbers

    def _new_rows(self, ids: Ids) -> Floats:
        """Return the slab rows of ids before their first push."""
        block = np.zeros((len(ids), self._values.rows.shape[1]), dtype=np.float32)
        block[:, : self.embedding_dim] = self._start.rows(ids)
        width = self.embedding_dim + self.slot_columns
        block[:, self.embedding_dim : width] = self._optimizer.start_slot_value()
        return block

    def _append(self, ids: Ids) -> Ids:
        """Give the next free row numbers to new ids; their values are set by the caller."""
        if self._used + len(ids) > self._max_rows:
            raise StackError(
                f"Table '{self.name}' would need {self._used + len(ids):,} rows; this machine's memory holds "
                f"{self._max_rows:,}. Raise --min-count in preprocess, or lower --embedding-dim."
            )
        numbers = np.arange(self._used, self._used + len(ids), dtype=np.int64)
        self._index.add(ids, numbers)
        self._ids.rows[self._used : self._used + len(ids), 0] = ids
        self._used += len(ids)
        return numbers

    def _check_ids(self, ids: Ids) -> None:
        if len(ids) > 1 and not bool(np.all(ids[1:] > ids[:-1])):
            at = int(np.argmin(ids[1:] > ids[:-1]))
            raise ValueError(
                f"Table '{self.name}': ids must be strictly ascending; id {ids[at + 1]} follows {ids[at]} at {at + 1}"
            )
