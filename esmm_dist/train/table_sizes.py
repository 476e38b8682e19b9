"""Sizes of a run's tables for its log, without a step that waits for servers."""

import threading
import time
from collections.abc import Callable, Mapping

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.embedding.table import row_bytes
from esmm_dist.errors import EsmmError
from esmm_dist.train.run_speed import TableSize

ASK_S = 5.0
"""Seconds between two questions to servers."""


class TableSizes:
    """Knows how many rows each table has.

    Rows in this process are counted at once. Servers are asked from a thread of its own, one question at a time, and
    ``now`` tells what they said last.

    Shutdown: closing the store ends a question that is in work; the thread ends with it, and holds nothing up.
    """

    def __init__(
        self,
        store: EmbeddingStore,
        tables: tuple[str, ...],
        embedding: EmbeddingConfig,
        *,
        embedded: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask nothing yet.

        Args:
            store: holds the rows
            tables: names of the tables
            embedding: settings of the tables
            embedded: whether the rows are in this process
            clock: returns seconds
        """
        self._store, self._embedded, self._clock = store, embedded, clock
        self._row_bytes = {table: row_bytes(embedding, table) for table in tables}
        self._newest: Mapping[str, TableSize] = {}
        self._asking: threading.Thread | None = None
        self._next_at = float("-inf")

    def now(self) -> Mapping[str, TableSize]:
        """Return the newest sizes by table; empty if the servers have not said yet."""
        if self._embedded:
            return self._counted()
        is_asking = self._asking is not None and self._asking.is_alive()
        if not is_asking and self._clock() >= self._next_at:
            self._next_at = self._clock() + ASK_S
            self._asking = threading.Thread(target=self._ask, name="table-sizes", daemon=True)
            self._asking.start()
        return self._newest

    def _ask(self) -> None:
        try:
            self._newest = self._counted()
        except (EsmmError, RuntimeError):  # a server that is lost, or a store that is closed: steps say so
            self._newest = {}

    def _counted(self) -> dict[str, TableSize]:
        found = {}
        for table, bytes_of_one in self._row_bytes.items():
            rows = self._store.num_rows(table)
            found[table] = TableSize(rows=rows, bytes=rows * bytes_of_one)
        return found
