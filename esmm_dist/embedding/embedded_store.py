"""All rows inside the training process."""

from collections.abc import Sequence

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.table import EmbeddingTable
from esmm_dist.embedding.table_files import TableFile, restore_table, save_table
from esmm_dist.embedding.table_rows import Floats, Ids, TableRows
from esmm_dist.storage import Folder


class EmbeddedStore:
    """All tables inside the training process."""

    def __init__(self, tables: tuple[str, ...], config: EmbeddingConfig, *, seed: int) -> None:
        """Make empty tables of these names."""
        self._names, self._config, self._seed = tables, config, seed
        self._tables = self._empty_tables()

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

    def save(self, folder: Folder, *, step: int) -> tuple[TableFile, ...]:
        """Write the tables' files; see ``EmbeddingStore.save``."""
        return tuple(file for table in self._tables.values() for file in save_table(folder, table))

    def restore(self, folder: Folder, files: Sequence[TableFile], *, step: int) -> None:
        """Replace all rows; see ``EmbeddingStore.restore``."""
        self._tables = self._empty_tables()
        for table in self._tables.values():
            restore_table(folder, table, files)

    def _empty_tables(self) -> dict[str, EmbeddingTable]:
        return {name: EmbeddingTable(name, self._config, seed=self._seed) for name in self._names}

    def export(self, table: str, first_bucket: int, last_bucket: int) -> TableRows:
        """Return copies of rows; see ``EmbeddingTable.export``."""
        return self._tables[table].export(first_bucket, last_bucket)

    def load(self, table: str, rows: TableRows) -> None:
        """Add saved rows; see ``EmbeddingTable.load``."""
        self._tables[table].load(rows)

    def num_rows(self, table: str) -> int:
        """Return the number of rows of a table."""
        return len(self._tables[table])
