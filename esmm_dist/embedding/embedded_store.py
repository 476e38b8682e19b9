"""All rows inside the training process."""

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.table import EmbeddingTable
from esmm_dist.embedding.table_rows import Floats, Ids, TableRows


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

    def push(
        self, table: str, ids: Ids, gradient_sums: Floats, *, impressions: int, step: int, rate_factor: float = 1.0
    ) -> None:
        """Update rows; see ``EmbeddingTable.push``."""
        self._tables[table].push(ids, gradient_sums, impressions=impressions, step=step, rate_factor=rate_factor)

    def export(self, table: str, first_bucket: int, last_bucket: int) -> TableRows:
        """Return copies of rows; see ``EmbeddingTable.export``."""
        return self._tables[table].export(first_bucket, last_bucket)

    def load(self, table: str, rows: TableRows) -> None:
        """Add saved rows; see ``EmbeddingTable.load``."""
        self._tables[table].load(rows)

    def num_rows(self, table: str) -> int:
        """Return the number of rows of a table."""
        return len(self._tables[table])
