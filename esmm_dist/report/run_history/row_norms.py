"""The L2 norms of a checkpoint's rows by table: how large rows are, which have hardly learned, which have grown.

A row holds the vector of one id; which of the fields of a table an id is of, the row does not say, so that fields that
share a table are shown together. Files of rows are read one at a time, and of a large table some of them only: ids
stand in files by a hash, so that a file is a fair sample.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F64
from esmm_dist.checkpoint.reader import Checkpoint
from esmm_dist.embedding.table_files import TableFile, read_rows
from esmm_dist.progress import Progress

MOST_ROWS = 1_000_000
"""Rows of a table that are read, about: whole files, the first of which is read in any case."""

_EDGES = np.concatenate([[0.0], np.logspace(-8, 8, 4001)])
"""Bins of norms: quantiles are right to 1%, in memory that does not grow."""


@dataclass(frozen=True, kw_only=True)
class RowNorms:
    """The norms of one table's rows."""

    table: str
    fields: Sequence[str]
    """Fields that look ids up in it."""
    rows: int
    read_rows: int
    """Rows whose norms these are: all, or those of some files."""
    quantiles: Mapping[str, float]
    """L2 norm at ``p5``, ``p50`` and ``p95``; nan if there is no row."""
    not_finite: int
    """Rows with a number that is nan or infinite, of those that were read."""


def row_norms(checkpoint: Checkpoint, progress: Progress, *, most_rows: int = MOST_ROWS) -> list[RowNorms]:
    """Return the norms of each table's rows, the largest table first.

    Args:
        checkpoint: holds the files of rows
        progress: receives the number of rows
        most_rows: rows of each table that are read, about

    Raises:
        CheckpointError: A file is missing or damaged.
        StorageError: The storage refuses.
    """
    by_table: dict[str, list[TableFile]] = {}
    for file in checkpoint.manifest.tables:
        if file.kind == "rows":
            by_table.setdefault(file.table, []).append(file)
    chosen = {table: _chosen(files, most_rows) for table, files in by_table.items()}
    progress.start("Reading rows", sum(each.rows for files in chosen.values() for each in files), "rows")
    found = []
    for table, files in chosen.items():
        counts, not_finite, read = np.zeros(len(_EDGES), dtype=np.int64), 0, 0
        for file in files:
            norms = _norms(checkpoint, file)
            finite = norms[np.isfinite(norms)]
            counts += np.bincount(
                np.searchsorted(_EDGES, finite, side="left").clip(max=len(_EDGES) - 1), None, len(_EDGES)
            )
            not_finite, read = not_finite + len(norms) - len(finite), read + len(norms)
            progress.advance(file.rows)
        found.append(
            RowNorms(
                table=table,
                fields=[each.name for each in checkpoint.manifest.schema.fields if each.table == table],
                rows=sum(each.rows for each in by_table[table]),
                read_rows=read,
                quantiles={f"p{percent}": _quantile(counts, percent / 100) for percent in (5, 50, 95)},
                not_finite=not_finite,
            )
        )
    progress.finish()
    return sorted(found, key=lambda each: -each.rows)


def _chosen(files: Sequence[TableFile], most_rows: int) -> list[TableFile]:
    chosen: list[TableFile] = []
    for file in files:
        if chosen and sum(each.rows for each in chosen) + file.rows > most_rows:
            break
        chosen.append(file)
    return chosen


def _norms(checkpoint: Checkpoint, file: TableFile) -> F64:
    rows = read_rows(checkpoint.folder, file).rows
    return np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))


def _quantile(counts: np.ndarray, share: float) -> float:  # type: ignore[type-arg]
    """Return the upper edge of the bin that holds a quantile."""
    total = int(counts.sum())
    if total == 0:
        return float("nan")
    place = int(np.searchsorted(np.cumsum(counts), max(1, np.ceil(share * total)), side="left"))
    return float(_EDGES[place])
