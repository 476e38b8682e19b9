"""The L2 norms of a checkpoint's rows by field: how large rows are, which have hardly learned, which have grown.

A row holds the vector of one id. Of which field the id is, the vocabulary of the data set says; without it, fields that
share a table are shown together. Files of rows are read one at a time, and of a large table some of them only: ids
stand in files by a hash, so that a file is a fair sample.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.arrays import F64, I64
from esmm_dist.checkpoint.reader import Checkpoint
from esmm_dist.embedding.table_files import TableFile, read_rows
from esmm_dist.progress import Progress

MOST_IDS = 20_000_000
"""Ids of a vocabulary that are held in memory, 16 bytes each."""

MOST_ROWS = 1_000_000
"""Rows of a table that are read, about: whole files, the first of which is read in any case."""

UNKNOWN = "(not in the vocabulary)"

_EDGES = np.concatenate([[0.0], np.logspace(-8, 8, 4001)])
"""Bins of norms: quantiles are right to 1%, in memory that does not grow."""


@dataclass(frozen=True, kw_only=True)
class FieldsOfIds:
    """The field of each id, by a data set's vocabulary."""

    names: Sequence[str]
    ids: I64
    """int64 [N], ascending"""
    fields: I64
    """int64 [N]: places in ``names``"""

    @classmethod
    def of_vocabulary(cls, path: Path) -> "FieldsOfIds | None":
        """Read ``vocabulary.parquet``; None if it is not there, or of more than ``MOST_IDS`` ids."""
        try:
            if pq.read_metadata(path).num_rows > MOST_IDS:
                return None
            table = pq.read_table(path, columns=["feature_id", "field"])
        except (OSError, pa.ArrowException):
            return None
        ids, codes = table["feature_id"].to_numpy(), table["field"].combine_chunks().dictionary_encode()
        order = np.argsort(ids, kind="stable")
        fields = codes.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return cls(names=codes.dictionary.to_pylist(), ids=ids[order], fields=fields[order])

    def codes(self, ids: I64) -> I64:
        """Return the place of the field of each id, -1 where it is not known: int64 [n]."""
        if not len(self.ids):
            return np.full(len(ids), -1, dtype=np.int64)
        places = np.searchsorted(self.ids, ids).clip(max=len(self.ids) - 1)
        return np.where(self.ids[places] == ids, self.fields[places], -1)


@dataclass(frozen=True, kw_only=True)
class RowNorms:
    """The norms of the rows of one field, or of one table."""

    table: str
    fields: Sequence[str]
    """Field, or all that look ids up in the table; ``UNKNOWN`` in its place: ids that the vocabulary lacks."""
    rows: int
    """Those in the checkpoint; where not all files are read, about."""
    read_rows: int
    """Rows whose norms these are: all, or those of some files."""
    quantiles: Mapping[str, float]
    """L2 norm at ``p5``, ``p50`` and ``p95``; nan if there is no row."""
    not_finite: int
    """Rows with a number that is nan or infinite, of those that were read."""


def row_norms(
    checkpoint: Checkpoint, progress: Progress, *, fields_of_ids: FieldsOfIds | None = None, most_rows: int = MOST_ROWS
) -> list[RowNorms]:
    """Return the norms of each field's rows, the most rows first.

    Args:
        checkpoint: holds the files of rows
        progress: receives the number of rows
        fields_of_ids: tells the fields of a table apart; None: they are shown together
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
    found: list[RowNorms] = []
    aliases = {each.name: each.alias for each in checkpoint.manifest.schema.fields}
    for table, files in chosen.items():
        fields = [each.alias for each in checkpoint.manifest.schema.fields if each.table == table]
        groups: dict[str, _Counts] = {}
        for file in files:
            rows = read_rows(checkpoint.folder, file)
            norms = np.sqrt(np.einsum("ij,ij->i", rows.rows, rows.rows, dtype=np.float64))
            codes = fields_of_ids.codes(rows.ids) if fields_of_ids is not None and len(fields) > 1 else None
            for name, of_group in _groups(norms, codes, fields_of_ids):
                groups.setdefault(name, _Counts()).add(of_group)
            progress.advance(file.rows)
        whole = sum(each.rows for each in by_table[table]) / max(sum(each.rows for each in files), 1)
        found += [
            RowNorms(
                table=table,
                fields=fields if not name else [aliases.get(name, name)],
                rows=round(counts.read * whole),
                read_rows=counts.read,
                quantiles={f"p{percent}": counts.quantile(percent / 100) for percent in (5, 50, 95)},
                not_finite=counts.not_finite,
            )
            for name, counts in groups.items()
        ]
    progress.finish()
    return sorted(found, key=lambda each: (-each.rows, each.table, each.fields))


class _Counts:
    """Norms of one group by bin."""

    def __init__(self) -> None:
        self.read = self.not_finite = 0
        self._counts = np.zeros(len(_EDGES), dtype=np.int64)

    def add(self, norms: F64) -> None:
        """Count norms, float64 [n]."""
        finite = norms[np.isfinite(norms)]
        places = np.searchsorted(_EDGES, finite, side="left").clip(max=len(_EDGES) - 1)
        self._counts += np.bincount(places, minlength=len(_EDGES))
        self.read += len(norms)
        self.not_finite += len(norms) - len(finite)

    def quantile(self, share: float) -> float:
        """Return the upper edge of the bin that holds a quantile; nan of no norm."""
        total = int(self._counts.sum())
        if total == 0:
            return float("nan")
        place = int(np.searchsorted(np.cumsum(self._counts), max(1, np.ceil(share * total)), side="left"))
        return float(_EDGES[place])


def _groups(norms: F64, codes: I64 | None, fields: FieldsOfIds | None) -> Iterator[tuple[str, F64]]:
    """Yield the norms of each field's rows under its name, of a table as a whole under an empty one."""
    if codes is None or fields is None:
        yield "", norms
        return
    for code in np.unique(codes):
        yield (fields.names[code] if code >= 0 else UNKNOWN), norms[codes == code]


def _chosen(files: Sequence[TableFile], most_rows: int) -> list[TableFile]:
    chosen: list[TableFile] = []
    for file in files:
        if chosen and sum(each.rows for each in chosen) + file.rows > most_rows:
            break
        chosen.append(file)
    return chosen
