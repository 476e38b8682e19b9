"""A store of fixed rows, and progress that is remembered: what the tests of checkpoints share."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from esmm_dist.checkpoint.writer import write_checkpoint
from esmm_dist.embedding.placement import bucket_of
from esmm_dist.embedding.table_rows import TableRows
from esmm_dist.progress import NoProgress
from tests.tiny_dataset import tiny_schema


class SavedRows:
    """Rows of every table, two columns and one slot variable each; loaded ones are kept beside them."""

    def __init__(self, rows: int = 40, *, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.rows = TableRows(
            ids=np.sort(random.choice(10_000, rows, replace=False)).astype(np.int64) - 5000,
            rows=random.normal(size=(rows, 2)).astype(np.float32),
            slots=random.normal(size=(rows, 1)).astype(np.float32),
            last_step=random.integers(1, 99, rows),
            count=random.integers(1, 9, rows),
        )
        self.loaded: list[tuple[str, TableRows]] = []

    def export(self, table: str, first_bucket: int, last_bucket: int) -> TableRows:
        buckets = bucket_of(self.rows.ids)
        return chosen(self.rows, (buckets >= first_bucket) & (buckets < last_bucket))

    def num_rows(self, table: str) -> int:
        return len(self.rows.ids)

    def load(self, table: str, rows: TableRows) -> None:
        self.loaded.append((table, rows))

    def expect(self, table: str, ids: npt.NDArray[np.int64]) -> None:
        raise AssertionError("saving expects nothing")

    def pull(self, table: str, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        raise AssertionError("saving pulls nothing")

    def push(
        self,
        table: str,
        ids: npt.NDArray[np.int64],
        gradient_sums: npt.NDArray[np.float32],
        *,
        impressions: int,
        step: int,
        rate_factor: float = 1.0,
    ) -> None:
        raise AssertionError("saving pushes nothing")


def chosen(rows: TableRows, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> TableRows:
    return TableRows(
        ids=rows.ids[which],
        rows=rows.rows[which],
        slots=rows.slots[which],
        last_step=rows.last_step[which],
        count=rows.count[which],
    )


def assert_same_rows(found: TableRows, expected: TableRows) -> None:
    for column in ("ids", "rows", "slots", "last_step", "count"):
        values = getattr(found, column)
        np.testing.assert_array_equal(values, getattr(expected, column))
        assert values.dtype == getattr(expected, column).dtype


DENSE = {"model/000/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "optimizer/000/iterations": np.array(7)}


def save(run: Path, step: int, store: SavedRows | None = None, *, keep: int = 3) -> Path:
    return write_checkpoint(
        run,
        step=step,
        schema=tiny_schema(),
        dense=DENSE,
        store=store or SavedRows(),
        settings={"seed": 3, "embedding": {"embedding_dim": 2}},
        state={"loss_window": {"sums": [0.1, 1 / 3], "impressions": step}},
        metrics={"ctr": {"auc": 0.75}},
        keep=keep,
    )


class Messages(NoProgress):
    """Remembers the messages."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)
