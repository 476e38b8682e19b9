"""The interface between training and wherever rows live."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from esmm_dist.arrays import F32, I64, Ids
from esmm_dist.embedding.table_files import TableFile
from esmm_dist.embedding.ticket import Ticket
from esmm_dist.storage.folder import Folder


@runtime_checkable
class PullsAhead(Protocol):
    """A store whose rows are far enough that those of the next step are worth reading while this one runs."""

    def pull_ahead(self, ticket: Ticket, *, step: int, before: Ids) -> None:
        """Read rows of the next step while this one runs, into the ticket; a ``pull`` of it then reads the others.

        May be called from another thread; gives up in silence where a server cannot answer now.

        Args:
            ticket: the ids of step ``step`` + 1
            step: the step that runs
            before: int64 [V], strictly ascending: the ids that this rank will push in ``step``
        """


class EmbeddingStore(Protocol):
    """Rows of all tables of a run. One thread calls in, but for ``prepare``, and ``pull`` where the store says so."""

    def prepare(self, table: str, ids: Ids, counts: I64 | None = None) -> Ticket:
        """Make a ticket that ``pull`` and ``push`` take. May be called from another thread; never blocks.

        Args:
            table: name of the table
            ids: int64 [U], strictly ascending
            counts: int64 [U], impressions of this rank that hold each id; needed by a push where admission counts

        Raises:
            ValueError: The ids are not strictly ascending.
        """

    def pull(self, ticket: Ticket, *, step: int | None = None) -> F32:
        """Read rows; creates none.

        Args:
            ticket: the ids
            step: the optimizer step (1, 2, ...) that the rows are for; None: as they are now, for evaluation

        Returns:
            float32 [U, D]. Blocks until they are there.
        """

    def push(
        self, ticket: Ticket, gradient_sums: F32, *, impressions: int, step: int, rate_factor: float = 1.0
    ) -> None:
        """Update rows from this rank's gradients of a step.

        Args:
            ticket: the ids, and their counts
            gradient_sums: float32 [U, D], summed over this rank's impressions of the step
            impressions: impressions of the whole step, over all ranks
            step: the optimizer step, 1, 2, ...
            rate_factor: multiplies the learning rate
        """

    def save(self, folder: Folder, *, step: int) -> tuple[TableFile, ...]:
        """Write all tables, as they are after ``step``, as files into a folder that is there.

        Blocks until the bytes are stored. The same rows give the same bytes.

        Raises:
            RetryError: The storage refused, or a server is lost.
        """

    def restore(self, folder: Folder, files: Sequence[TableFile], *, step: int) -> None:
        """Replace all rows by those of files that ``save`` described.

        Args:
            folder: folder of the files
            files: all files of a checkpoint
            step: step after which they were saved; the next push is of ``step`` + 1

        Raises:
            CheckpointError: A file is missing or damaged; it is named.
            CheckpointMismatchError: The rows have another shape than the tables'.
            RetryError: The storage refused, or a server is lost.
        """

    def evict(self, *, step: int) -> dict[str, int]:
        """Remove rows after a step, by the run's settings; return their number by table."""

    def num_rows(self, table: str) -> int:
        """Return the number of rows of a table."""

    def close(self) -> None:
        """Release connections and memory; a second call is harmless."""
