"""A store of fixed rows, and progress that is remembered: what the tests of checkpoints share."""

from collections.abc import Sequence

import google_crc32c
import numpy as np
import pyarrow as pa

from esmm_dist.arrays import F32, I64, Ids
from esmm_dist.checkpoint.writer import CheckpointContent, write_checkpoint
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.embedding.table_files import TableFile, read_rows
from esmm_dist.embedding.table_rows import TableRows
from esmm_dist.embedding.ticket import Ticket
from esmm_dist.progress import NoProgress
from esmm_dist.schema.fields import Schema
from esmm_dist.storage.folder import Folder
from tests.support.tiny_dataset import tiny_schema


class SavedRows:
    """Rows of every table, two columns and one slot variable each; restored ones are kept beside them.

    Without threads, so that a forked process can save them.
    """

    def __init__(self, rows: int = 40, *, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.rows = TableRows(
            ids=np.sort(random.choice(10_000, rows, replace=False)).astype(np.int64) - 5000,
            rows=random.normal(size=(rows, 2)).astype(np.float32),
            slots=random.normal(size=(rows, 1)).astype(np.float32),
            last_step=random.integers(1, 99, rows),
            count=random.integers(1, 9, rows),
        )
        self.restored: list[TableRows] = []

    def save(self, folder: Folder, *, step: int) -> tuple[TableFile, ...]:
        columns = {
            "id": self.rows.ids,
            "row": pa.FixedSizeListArray.from_arrays(pa.array(self.rows.rows.reshape(-1)), 2),
            "slots": pa.FixedSizeListArray.from_arrays(pa.array(self.rows.slots.reshape(-1)), 1),
            "last_step": self.rows.last_step,
            "count": self.rows.count,
        }
        table = pa.table(columns)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        data = sink.getvalue().to_pybytes()
        folder.write_bytes("main-0000-4096.arrow", data)
        return (file_of("main-0000-4096.arrow", data, rows=table.num_rows),)

    def restore(self, folder: Folder, files: Sequence[TableFile], *, step: int) -> None:
        self.restored = [read_rows(folder, file) for file in files]

    def num_rows(self, table: str) -> int:
        return len(self.rows.ids)

    def evict(self, *, step: int) -> dict[str, int]:
        raise AssertionError("saving evicts nothing")

    def close(self) -> None:
        pass

    def prepare(self, table: str, ids: Ids, counts: I64 | None = None) -> Ticket:
        raise AssertionError("saving prepares nothing")

    def pull(self, ticket: Ticket, *, step: int | None = None) -> F32:
        raise AssertionError("saving pulls nothing")

    def push(
        self, ticket: Ticket, gradient_sums: F32, *, impressions: int, step: int, rate_factor: float = 1.0
    ) -> None:
        raise AssertionError("saving pushes nothing")


def file_of(name: str, data: bytes, *, rows: int) -> TableFile:
    return TableFile(
        path=name,
        table="main",
        kind="rows",
        first_bucket=0,
        last_bucket=4096,
        rows=rows,
        file_bytes=len(data),
        crc32c=google_crc32c.value(data),
    )


def assert_same_rows(found: TableRows, expected: TableRows) -> None:
    for column in ("ids", "rows", "slots", "last_step", "count"):
        values = getattr(found, column)
        np.testing.assert_array_equal(values, getattr(expected, column))
        assert values.dtype == getattr(expected, column).dtype


DENSE = {"model/000/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "optimizer/000/iterations": np.array(7)}
SETTINGS = {"seed": 3, "embedding": {"embedding_dim": 2}}


def save(run: Folder, step: int, store: EmbeddingStore | None = None, *, keep: int = 3, settings=SETTINGS) -> Folder:
    content = CheckpointContent(
        step=step,
        schema=tiny_schema(),
        dense=DENSE,
        settings=settings,
        state={"loss_window": {"sums": [0.1, 1 / 3], "impressions": step}},
        metrics={"ctr": {"auc": 0.75}},
    )
    return write_checkpoint(run, content, store or SavedRows(), keep=keep)


def save_rows_alone(run: Folder, step: int, store: EmbeddingStore, *, schema: Schema | None = None) -> Folder:
    """Write a checkpoint of a store's rows, without weights and settings."""
    content = CheckpointContent(step=step, schema=schema or tiny_schema(), dense={}, settings={}, state={}, metrics={})
    return write_checkpoint(run, content, store, keep=1)


class Messages(NoProgress):
    """Remembers the messages."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)
