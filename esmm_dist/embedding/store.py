"""The interface between training and wherever rows live, and its in-process form."""

from typing import Protocol

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.table import EmbeddingTable, Floats, Ids, TableRows


class EmbeddingStore(Protocol):
    """Rows of all tables of a run. One thread calls in, but for ``expect``."""

    def expect(self, table: str, ids: Ids) -> None:
        """Say that ``ids`` (the very array) will be pulled soon. May be called from another thread; never blocks."""

    def pull(self, table: str, ids: Ids) -> Floats:
        """Read rows of ``ids`` int64 [U] (strictly ascending): float32 [U, D]. Blocks until they are there."""

    def push(self, table: str, ids: Ids, gradient_sums: Floats, *, impressions: int, step: int) -> None:
        """Update the rows of ``ids`` from gradients summed over the step's impressions, float32 [U, D]."""

    def export(self, table: str, first_bucket: int, last_bucket: int) -> TableRows:
        """Return copies of the rows of buckets ``[first_bucket, last_bucket)``."""

    def load(self, table: str, rows: TableRows) -> None:
        """Add saved rows to an empty store."""

    def num_rows(self, table: str) -> int:
        """Return the number of rows of a table."""


class EmbeddedStore:
    """All tables inside the training process."""

    def __init__(self, tables: tuple[str, ...], config: EmbeddingConfig, *, seed: int) -> None:
        """Make empty tables of these names."""
        self._tables = {name: EmbeddingTable(name, config, seed=seed) for name in tables}

    def expect(self, table: str, ids: Ids) -> None:
        """Find rows ahead; see ``EmbeddingTable.locate``."""
        self._tables[table].locate(ids)

    def pull(self, table: str, ids: Ids) -> Floats:
        """Read rows; see ``EmbeddingTable.pull``."""
        return self._tables[table].pull(ids)

    def push(self, table: str, ids: Ids, gradient_sums: Floats, *, impressions: int, step: int) -> None:
        """Update rows; see ``EmbeddingTable.push``."""
        self._tables[table].push(ids, gradient_sums, impressions=impressions, step=step)

    def export(self, table: str, first_bucket: int, last_bucket: int) -> TableRows:
        """Return copies of rows; see ``EmbeddingTable.export``."""
        return self._tables[table].export(first_bucket, last_bucket)

    def load(self, table: str, rows: TableRows) -> None:
        """Add saved rows; see ``EmbeddingTable.load``."""
        self._tables[table].load(rows)

    def num_rows(self, table: str) -> int:
        """Return the number of rows of a table."""
        return len(self._tables[table])
