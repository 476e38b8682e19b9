"""Tables inside one process: all of a run's rows in training without servers, or a server's range of buckets."""

from collections.abc import Sequence

from esmm_dist.arrays import F32, I64, Ids
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.eviction import SurveyedShard
from esmm_dist.embedding.placement import NUM_BUCKETS
from esmm_dist.embedding.table import EmbeddingTable
from esmm_dist.embedding.table_files import TableFile, restore_table, save_table
from esmm_dist.embedding.table_rows import TableRows
from esmm_dist.embedding.ticket import Ticket
from esmm_dist.storage.folder import Folder


class EmbeddedStore:
    """The tables of a run, or what they hold in a range of buckets, inside this process."""

    def __init__(
        self,
        tables: tuple[str, ...],
        config: EmbeddingConfig,
        *,
        seed: int,
        buckets: tuple[int, int] = (0, NUM_BUCKETS),
        keep_undo: bool = False,
    ) -> None:
        """Make empty tables.

        Args:
            tables: names of the tables
            config: how rows start and learn
            seed: seed of the start values
            buckets: ``[first, last)`` that are saved and restored here; the caller sends no other ids
            keep_undo: whether to keep what the last step changed, for ``undo``
        """
        self._tables = {name: EmbeddingTable(name, config, seed=seed, keep_undo=keep_undo) for name in tables}
        self._eviction = config.make_eviction()
        self._first_bucket, self._last_bucket = buckets

    def prepare(self, table: str, ids: Ids, counts: I64 | None = None) -> Ticket:
        """Find rows ahead; see ``EmbeddingTable.prepare``."""
        return self._tables[table].prepare(ids, counts)

    def pull(self, ticket: Ticket, *, step: int | None = None) -> F32:
        """Read rows; see ``EmbeddingTable.pull``. Every push before has been applied, so ``step`` waits for nothing."""
        return self._tables[ticket.table].pull(ticket)

    def push(
        self, ticket: Ticket, gradient_sums: F32, *, impressions: int, step: int, rate_factor: float = 1.0
    ) -> None:
        """Update rows; see ``EmbeddingTable.push``."""
        self._tables[ticket.table].push(
            ticket, gradient_sums, impressions=impressions, step=step, rate_factor=rate_factor
        )

    def undo(self, step: int) -> None:
        """Undo the pushes of the last step; see ``EmbeddingTable.undo_push``.

        Raises:
            ValueError: A table's last push was of another step, or cannot be undone; nothing was changed.
        """
        for name, table in self._tables.items():
            if table.undoable_step != step:
                found = "none" if table.undoable_step is None else f"that of step {table.undoable_step}"
                raise ValueError(f"Table '{name}': the push of step {step} cannot be undone, only {found}.")
        for table in self._tables.values():
            table.undo_push()

    def save(self, folder: Folder, *, step: int) -> tuple[TableFile, ...]:
        """Write the tables' files; see ``EmbeddingStore.save``."""
        files = [save_table(folder, table, self._first_bucket, self._last_bucket) for table in self._tables.values()]
        return tuple(file for of_table in files for file in of_table)

    def restore(self, folder: Folder, files: Sequence[TableFile], *, step: int) -> None:
        """Replace all rows; see ``EmbeddingStore.restore``."""
        for table in self._tables.values():
            table.clear()
            restore_table(folder, table, files, (self._first_bucket, self._last_bucket), step=step)

    def evict(self, *, step: int) -> dict[str, int]:
        """Remove rows after a step; see ``EmbeddingStore.evict``."""
        return {name: self._eviction.apply([table], step=step) for name, table in self._tables.items()}

    def shard(self, table: str) -> SurveyedShard:
        """Return what an eviction over several servers asks of this one."""
        return self._tables[table]

    def table(self, name: str) -> EmbeddingTable:
        """Return a table."""
        return self._tables[name]

    def export(self, table: str, first_bucket: int, last_bucket: int) -> TableRows:
        """Return copies of rows; see ``EmbeddingTable.export``."""
        return self._tables[table].export(first_bucket, last_bucket)

    def load(self, table: str, rows: TableRows) -> None:
        """Add saved rows; see ``EmbeddingTable.load``."""
        self._tables[table].load(rows)

    def num_rows(self, table: str) -> int:
        """Return the number of rows of a table."""
        return len(self._tables[table])

    def close(self) -> None:
        """Do nothing: the memory goes with the object."""
