"""One embedding table: a map id -> row number, and the slab that holds rows and slot variables."""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from esmm_dist.arrays import F32, F64, I64, U64, Ids
from esmm_dist.embedding.bucket_places import places_by_range
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.eviction import EvictionRule, tie_hashes
from esmm_dist.embedding.placement import bucket_of
from esmm_dist.embedding.pre_image import PreImage
from esmm_dist.embedding.row_index import NO_ROW, RowIndex, candidate_code, candidate_impressions
from esmm_dist.embedding.slab import Slab
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.embedding.table_rows import Candidates, TableRows
from esmm_dist.embedding.ticket import FoundRows, Ticket
from esmm_dist.errors import StackError
from esmm_dist.kernels.row_updates import read_rows
from esmm_dist.kernels.threads import in_ranges

_META_COLUMNS = 2
_VERSIONS = itertools.count(1)  # of all tables of the process: what a ticket holds of one fits no other
_CANDIDATE_BYTES = 100  # resident memory over candidates, of 1 M and of 4 M
_COPIED_ROWS = 1024  # saved and loaded at a time: 200 kB with Adam at D = 16, which stays in a core's cache


def row_bytes(config: EmbeddingConfig, table: str) -> int:
    """Return the bytes that a row of a table takes, with its slot variables, its metadata and its id."""
    dim = config.dim_of(table)
    columns = dim + config.make_optimizer().slot_columns(dim) + _META_COLUMNS
    return columns * np.dtype(np.float32).itemsize + np.dtype(np.int64).itemsize


class EmbeddingTable:
    """Rows of one id space.

    A row exists from its first admitted push on; before, ``pull`` gives its start value. ``prepare``, ``find`` and
    ``pull`` may run in several threads at once, ``prepare`` and ``find`` also beside ``push``. Everything else runs
    alone.
    """

    def __init__(
        self, name: str, config: EmbeddingConfig, *, seed: int, max_rows: int | None = None, keep_undo: bool = False
    ) -> None:
        """Make an empty table.

        Args:
            name: name of the table in the schema
            config: dimension, optimizer and start values
            seed: seed of the start values
            max_rows: rows to reserve address space for; None: what the machine's memory would hold
            keep_undo: whether to keep what each push overwrites until the next one, for ``undo_push``
        """
        self.name = name
        self.embedding_dim = config.dim_of(name)
        self._config = config
        self._optimizer = config.make_optimizer()
        self._admission = config.make_admission()
        self.slot_columns = self._optimizer.slot_columns(self.embedding_dim)
        self._start = StartValues(embedding_dim=self.embedding_dim, scale=config.start_range, seed=seed)
        self._index = RowIndex(name)
        # A row of the slab is the row, its slot variables, and as int32 its last step and count: one stretch of memory,
        # so that an update is one read and one write of it
        columns = self.embedding_dim + self.slot_columns
        self._values = Slab(columns=columns + _META_COLUMNS, dtype=np.float32, max_rows=max_rows)
        self._ids = Slab(columns=1, dtype=np.int64, max_rows=max_rows)
        self._max_rows = min(self._values.max_rows, self._ids.max_rows, self._index.max_rows)
        self._used = 0
        self._version = self._layout_version = next(_VERSIONS)
        self._keep_undo = keep_undo
        self._before_push: PreImage | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._used

    @property
    def memory_bytes(self) -> int:
        """Bytes that the rows, slot variables and their metadata take, without the hash table."""
        return self._used * (self._values.row_bytes + self._ids.row_bytes)

    @property
    def num_candidates(self) -> int:
        """Ids that are counted but have no row yet."""
        return self._index.num_candidates

    @property
    def candidate_bytes(self) -> int:
        """Bytes that candidates take in the index, about."""
        return self.num_candidates * _CANDIDATE_BYTES

    @property
    def version(self) -> int:
        """Names the contents of the table: another number after each change, never one that was there before."""
        return self._version

    @property
    def undoable_step(self) -> int | None:
        """The step of the push that ``undo_push`` would undo; None: there is none, or nothing is kept."""
        before = self._before_push
        return None if before is None else before.step

    def prepare(self, ids: Ids, counts: I64 | None = None) -> Ticket:
        """Make a ticket, its rows found.

        Args:
            ids: int64 [U], strictly ascending
            counts: int64 [U], impressions of the step that hold each id; needed by ``push`` where admission counts

        Raises:
            ValueError: The ids are not strictly ascending.
        """
        ticket = Ticket(table=self.name, ids=ids, counts=counts)
        self.find(ticket)
        return ticket

    def find(self, ticket: Ticket) -> None:
        """Find rows ahead, so that ``pull`` need not: a quarter of the table's part of a step (4.5 M rows).

        May run in another thread, beside ``pull`` and ``push``: they move no rows, and ids that are unseen now are
        looked up again by ``pull`` if there was a push since.
        """
        # The versions are read first: a push that ends meanwhile leaves the ticket older than the table
        version, layout_version = self._version, self._layout_version
        codes = self._index.find(ticket.ids)
        ticket.found = FoundRows(codes=codes, version=version, layout_version=layout_version)

    def pull(self, ticket: Ticket) -> F32:
        """Read rows; creates none.

        Returns:
            float32 [U, D]: the row of each id, or its start value.
        """
        codes = self._codes(ticket)
        rows = np.empty((len(codes), self.embedding_dim), dtype=np.float32)
        values = self._values.rows
        in_ranges(lambda first, end: read_rows(values, codes[first:end], rows[first:end]), len(codes))
        unseen = np.flatnonzero(codes < 0)
        if len(unseen):
            rows[unseen] = self._start.rows(ticket.ids[unseen])
        return rows

    def push(
        self, ticket: Ticket, gradient_sums: F32, *, impressions: int, step: int, rate_factor: float = 1.0
    ) -> None:
        """Update rows with the optimizer; creates those of ids that are admitted now.

        Args:
            ticket: the ids; with counts where admission counts
            gradient_sums: float32 [U, D], the gradient of the loss summed over the step's impressions
            impressions: number of impressions in the step, over all ranks; the sums are divided by it
            step: the optimizer step, 1, 2, ...
            rate_factor: multiplies the learning rate: schedules live in training and come with each push

        Raises:
            ValueError: The gradients have another shape than the rows, or counts are missing.
            StackError: The table would outgrow the machine's memory.
        """
        ids, counts = ticket.ids, ticket.counts
        if gradient_sums.shape != (len(ids), self.embedding_dim):
            raise ValueError(
                f"Table '{self.name}': gradients have shape {list(gradient_sums.shape)}, "
                f"expected [{len(ids)}, {self.embedding_dim}]"
            )
        if self._admission.counts and (counts is None or counts.shape != ids.shape):
            raise ValueError(
                f"Table '{self.name}': admit_after is {self._admission.impressions}, but the push does not say how "
                f"many impressions held each of its {len(ids)} ids"
            )
        self._before_push = None  # a push that fails halfway cannot be undone
        if len(ids) == 0 and not self._keep_undo:
            return
        numbers = self._codes(ticket)
        ticket.found = None  # its array is written to below
        used, unseen = self._used, np.flatnonzero(numbers < 0)
        unseen_ids, unseen_codes = ids[unseen], numbers[unseen]
        try:
            if len(unseen):
                numbers[unseen] = self._admit(
                    unseen_ids, unseen_codes, counts if counts is None else counts[unseen], step=step
                )
            of_step = (float(step), 1.0 / impressions, self._config.embedding_l2)
            constants = self._optimizer.constants(
                learning_rate=self._config.learning_rate, rate_factor=rate_factor, step=step
            )
            block = self._update(numbers, gradient_sums, np.array([*of_step, *constants], dtype=np.float64))
        finally:
            self._version = next(_VERSIONS)
        if self._keep_undo:
            self._before_push = PreImage(
                step=step, used=used, numbers=numbers, block=block, unseen_ids=unseen_ids, unseen_codes=unseen_codes
            )

    def undo_push(self) -> int:
        """Put back what the last push overwrote: the table is bit for bit what it was before; return the push's step.

        Only the last push can be undone, once, and only until rows are removed or loaded.

        Raises:
            ValueError: There is no such push.
        """
        before, self._before_push = self._before_push, None
        if before is None:
            raise ValueError(
                f"Table '{self.name}': there is no push to undo. Make the table with keep_undo, and undo before any "
                "other change."
            )
        old = (before.numbers >= 0) & (before.numbers < before.used)
        self._values.put(before.numbers[old], before.block[old])
        self._index.remove(before.unseen_ids)
        counted = before.unseen_codes != NO_ROW
        self._index.set_candidates(before.unseen_ids[counted], before.unseen_codes[counted])
        if self._used > before.used:
            self._used = before.used
            self._values.give_back(before.used)
            self._ids.give_back(before.used)
        self._version = self._layout_version = next(_VERSIONS)
        return before.step

    def _update(self, numbers: Ids, gradient_sums: F32, settings: F64) -> F32:
        """Move the slab rows ``numbers``, int64 [U], as the optimizer says; negative ones are none.

        Returns:
            float32 [U, D + slots + metadata]: what the rows were; [0, ...] where nothing is kept.
        """
        sums = np.require(gradient_sums, dtype=np.float32, requirements=["C", "A"])
        values, kernel = self._values.rows, self._optimizer.kernel
        meta = values.view(np.int32)
        before = np.empty((len(numbers) if self._keep_undo else 0, values.shape[1]), dtype=np.float32)

        def update(first: int, end: int) -> None:
            kernel(values, meta, numbers[first:end], sums[first:end], settings, before[first:end])

        in_ranges(update, len(numbers))
        return before

    def last_steps(self) -> tuple[Ids, Ids]:
        """Return the steps that changed rows last, ascending, and the number of those rows: int64 [k] each."""
        steps, rows = np.unique(self._meta()[:, 0], return_counts=True)
        return steps.astype(np.int64), rows.astype(np.int64)

    def tie_hashes(self, step: int) -> U64:
        """Return the hashes of the rows that ``step`` changed last, uint64 [n], in any order."""
        return tie_hashes(self._ids.rows[: self._used, 0][self._meta()[:, 0] == step])

    def remove(self, rule: EvictionRule) -> int:
        """Remove the rows and the candidates that a rule chooses; they read as start values, and are counted anew.

        Returns:
            The number of rows; candidates have none.
        """
        self._remove_candidates(rule)
        all_ids, meta = self._ids.rows[: self._used, 0], self._meta().astype(np.int64)
        gone = np.flatnonzero(rule.chooses(all_ids, meta[:, 0], meta[:, 1]))
        if len(gone) == 0:
            return 0
        self._before_push = None
        self._index.remove(all_ids[gone].copy())
        left = self._used - len(gone)
        gaps = gone[gone < left]  # the last rows move there
        moved = np.setdiff1d(np.arange(left, self._used), gone[gone >= left], assume_unique=True)
        self._values.rows[gaps] = self._values.rows[moved]
        self._ids.rows[gaps] = self._ids.rows[moved]
        self._index.set_rows(self._ids.rows[gaps, 0], gaps)
        self._used = left
        self._values.give_back(left)
        self._ids.give_back(left)
        self._version = self._layout_version = next(_VERSIONS)
        return len(gone)

    def _remove_candidates(self, rule: EvictionRule) -> None:
        if self._admission.counts:
            candidates = self._index.candidates()
            gone = candidates.ids[rule.chooses_candidates(candidates.last_step)]
            if len(gone):
                self._before_push = None
                self._index.remove(gone)
                self._version = next(_VERSIONS)

    def clear(self) -> None:
        """Remove all rows and candidates."""
        self._index = RowIndex(self.name)
        self._before_push = None
        self._used = 0
        self._values.give_back(0)
        self._ids.give_back(0)
        self._version = self._layout_version = next(_VERSIONS)

    def row_numbers(self, ranges: Sequence[tuple[int, int]]) -> list[Ids]:
        """Return the numbers of the rows of each of some ranges of buckets, for ``copy_rows``; hashes each id once."""
        return places_by_range(self._ids.rows[: self._used, 0], ranges)

    def copy_rows(self, numbers: Ids, into: TableRows) -> None:
        """Copy rows, ordered by id. May run in several threads at once, while nothing changes the rows.

        Args:
            numbers: numbers of the rows, int64 [n], each once
            into: gets them; of n rows
        """
        ids = self._ids.rows[numbers, 0]
        order = np.argsort(ids)
        ids.take(order, out=into.ids, mode="clip")
        numbers = numbers[order]
        dim, width = self.embedding_dim, self.embedding_dim + self.slot_columns
        block = np.empty((_COPIED_ROWS, self._values.rows.shape[1]), dtype=np.float32)
        for start in range(0, len(numbers), _COPIED_ROWS):
            places = slice(start, min(start + _COPIED_ROWS, len(numbers)))
            part = block[: places.stop - start]
            self._values.rows.take(numbers[places], axis=0, out=part, mode="clip")
            into.rows[places], into.slots[places] = part[:, :dim], part[:, dim:width]
            meta = part.view(np.int32)[:, width:]
            into.last_step[places], into.count[places] = meta[:, 0], meta[:, 1]

    def export(self, first_bucket: int, last_bucket: int) -> TableRows:
        """Return copies of the rows of buckets ``[first_bucket, last_bucket)``, ordered by id."""
        (numbers,) = self.row_numbers([(first_bucket, last_bucket)])
        rows = TableRows.empty(len(numbers), self.embedding_dim, self.slot_columns)
        self.copy_rows(numbers, rows)
        return rows

    def export_candidates(self, first_bucket: int, last_bucket: int) -> Candidates:
        """Return the ids of buckets ``[first_bucket, last_bucket)`` that are counted but not admitted yet."""
        if not self._admission.counts:
            nothing = np.empty(0, dtype=np.int64)
            return Candidates(ids=nothing, impressions=nothing, last_step=nothing)
        candidates = self._index.candidates()
        buckets = bucket_of(candidates.ids)
        return candidates.chosen((buckets >= first_bucket) & (buckets < last_bucket))

    def expect(self, ids: int) -> None:
        """Make an empty table's index at once as large as so many ids need; others may come all the same."""
        if self._used == 0 and len(self._index) == 0:
            self._index = RowIndex(self.name, expected_ids=ids)
            self._version = self._layout_version = next(_VERSIONS)

    def load_candidates(self, saved: Candidates) -> None:
        """Add saved counts of ids that have no row; of no use, and dropped, where admission does not count."""
        self._before_push = None
        if self._admission.counts:
            self._index.set_candidates(saved.ids, candidate_code(saved.impressions, saved.last_step))
            self._version = next(_VERSIONS)

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
        self._before_push = None
        if len(saved.ids) == 0:
            return
        first = int(self._append(saved.ids)[0])
        in_ranges(lambda start, end: self._put_saved(saved, first, start, end), len(saved.ids))
        self._version = next(_VERSIONS)

    def _put_saved(self, saved: TableRows, first: int, start: int, end: int) -> None:
        """Write the saved rows ``[start, end)`` to the slab rows from ``first + start`` on."""
        dim, width = self.embedding_dim, self.embedding_dim + self.slot_columns
        for begin in range(start, end, _COPIED_ROWS):
            places = slice(begin, min(begin + _COPIED_ROWS, end))
            part = self._values.rows[first + places.start : first + places.stop]
            part[:, :dim], part[:, dim:width] = saved.rows[places], saved.slots[places]
            meta = part.view(np.int32)[:, width:]
            meta[:, 0], meta[:, 1] = saved.last_step[places], saved.count[places]

    def _admit(self, ids: Ids, codes: Ids, counts: I64 | None, *, step: int) -> Ids:
        """Give rows to those of unseen ids int64 [n] that are admitted, and count the others.

        Returns:
            int64 [n]: the codes now, negative where an id has no row yet.
        """
        if not self._admission.counts:
            return self._create(ids)
        assert counts is not None
        so_far = candidate_impressions(codes) + counts
        admitted = self._admission.admits(so_far)
        codes = candidate_code(so_far, step)
        self._index.set_candidates(ids[~admitted], codes[~admitted])
        codes[admitted] = self._create(ids[admitted])
        return codes

    def _create(self, ids: Ids) -> Ids:
        """Append rows as they are before their first push; return their numbers."""
        numbers = self._append(ids)
        block = self._values.rows[self._used - len(ids) : self._used]
        dim, width = self.embedding_dim, self.embedding_dim + self.slot_columns
        block[:, :dim] = self._start.rows(ids)
        block[:, dim:width] = self._optimizer.start_slots(dim)
        block[:, width:] = 0
        return numbers

    def _codes(self, ticket: Ticket) -> I64:
        """Return the code of each id, negative where it has no row: as it was found ahead, if that still holds.

        What is found here is kept in the ticket. The array must not be written to.
        """
        found, version = ticket.found, self._version
        if found is None or found.layout_version != self._layout_version:
            codes = self._index.find(ticket.ids)
        elif found.version == version:
            return found.codes
        else:
            codes = found.codes
            unseen = np.flatnonzero(codes < 0)
            if len(unseen):
                codes = codes.copy()  # a push since then may have created some, or counted them
                codes[unseen] = self._index.find(ticket.ids[unseen])
        ticket.found = FoundRows(codes=codes, version=version, layout_version=self._layout_version)
        return codes

    def _meta(self) -> npt.NDArray[np.int32]:
        """Return a view of the last steps and counts of all rows, int32 [n, 2]."""
        width = self.embedding_dim + self.slot_columns
        return self._values.rows[: self._used].view(np.int32)[:, width:]

    def _append(self, ids: Ids) -> Ids:
        """Give the next free row numbers to new ids; their values are set by the caller."""
        if self._used + len(ids) > self._max_rows:
            raise StackError(
                f"Table '{self.name}' would need {self._used + len(ids):,} rows; this machine's memory holds "
                f"{self._max_rows:,}. Raise --min-count in preprocess, or lower --embedding-dim."
            )
        numbers = np.arange(self._used, self._used + len(ids), dtype=np.int64)
        self._index.set_rows(ids, numbers)
        self._ids.rows[self._used : self._used + len(ids), 0] = ids
        self._used += len(ids)
        return numbers
