"""The interface between training and wherever rows live."""

from typing import Protocol

from esmm_dist.embedding.table_rows import Floats, Ids, TableRows


class EmbeddingStore(Protocol):
    """Rows of all tables of a run. One thread calls in, but for ``expect``."""

    def expect(self, table: str, ids: Ids) -> None:
        """Say that ``ids`` (the very array) will be pulled soon. May be called from another thread; never blocks."""

    def pull(self, table: str, ids: Ids) -> Floats:
        """Read rows of ``ids`` int64 [U] (strictly ascending): float32 [U, D]. Blocks until they are there."""

    def push(
        self, table: str, ids: Ids, gradient_sums: Floats, *, impressions: int, step: int, rate_factor: float = 1.0
    ) -> None:
        """Update the rows of ``ids`` from gradients summed over the step's impressions, float32 [U, D]."""

    def export(self, table: str, first_bucket: int, last_bucket: int) -> TableRows:
        """Return copies of the rows of buckets ``[first_bucket, last_bucket)``."""

    def load(self, table: str, rows: TableRows) -> None:
        """Add saved rows to an empty store."""

    def num_rows(self, table: str) -> int:
        """Return the number of rows of a table."""
