"""The interface between training and wherever rows live."""

from collections.abc import Sequence
from typing import Protocol

from esmm_dist.embedding.table_files import TableFile
from esmm_dist.embedding.table_rows import Floats, Ids
from esmm_dist.storage import Folder


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

    def save(self, folder: Folder, *, step: int) -> tuple[TableFile, ...]:
        """Write all tables, as they are after ``step``, as files into a folder that is there."""

    def restore(self, folder: Folder, files: Sequence[TableFile], *, step: int) -> None:
        """Replace all rows by those of files that ``save`` described."""

    def num_rows(self, table: str) -> int:
        """Return the number of rows of a table."""
