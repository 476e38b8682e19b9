"""Which rows of a checkpoint an export takes, and how it stores them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esmm_dist.arrays import Bools, Ids
from esmm_dist.embedding.table_rows import TableRows
from esmm_dist.errors import InputDataError
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.served_model.manifest import RowType
from esmm_dist.storage.arrow_path import arrow_path

_BATCH_ROWS = 1 << 20  # 17 MB


@dataclass(kw_only=True)
class LeftOutRows:
    """Counts rows that are not exported."""

    rare: int = 0
    """Rows that too few steps have changed."""
    of_other_fields: int = 0
    """Rows of ids that only fields have which are not used."""


@dataclass(frozen=True, kw_only=True)
class ExportedRows:
    """The rows that are exported: all, unless it says otherwise."""

    row_type: RowType = "float32"
    min_count: int = 0
    """Least number of training steps that have changed a row (``TableRows.count``)."""
    of_other_fields: Mapping[str, Ids] = field(default_factory=dict)
    """int64 [n] by table, ascending: ids that only fields have which are not used."""

    def keep(self, table: str, left_out: LeftOutRows | None = None) -> Callable[[TableRows], Bools]:
        """Return the function that tells which rows of a table are exported, bool [n].

        Args:
            table: name of the table
            left_out: counts the others; None: nobody does
        """
        others = self.of_other_fields.get(table, np.empty(0, np.int64))

        def kept(rows: TableRows) -> Bools:
            frequent = rows.count >= self.min_count
            used = ~np.isin(rows.ids, others) if len(others) else np.ones(len(rows.ids), np.bool_)
            if left_out is not None:
                left_out.rare += int((used & ~frequent).sum())
                left_out.of_other_fields += int((~used).sum())
            return np.asarray(frequent & used)

        return kept


def ids_of_other_fields(data: Path, manifest: DatasetManifest, schema: Schema, used: Collection[str]) -> dict[str, Ids]:
    """Return the ids that a data set's vocabulary has for fields that are not used, and for none that is.

    Args:
        data: data set
        manifest: its manifest
        schema: schema of the model
        used: names of the fields whose values count

    Returns:
        int64 [n] by table, ascending.

    Raises:
        InputDataError: The vocabulary is missing or damaged.
    """
    spaces: dict[str, tuple[set[str], set[str]]] = {table: (set(), set()) for table in schema.tables}
    for each in schema.fields:
        spaces[each.table][each.name in used].add(each.id_space)
    found = _vocabulary(data / manifest.vocabulary_file)
    empty = np.empty(0, np.int64)
    others = {}
    for table, (not_used, of_used) in spaces.items():
        theirs = [found.get(name, empty) for name in not_used - of_used]
        ours = [found.get(name, empty) for name in of_used]
        others[table] = np.setdiff1d(np.concatenate([empty, *theirs]), np.concatenate([empty, *ours]))
    return others


def _vocabulary(path: Path) -> dict[str, Ids]:
    """Return the ids of each field that has ids of its own."""
    parts: dict[str, list[Ids]] = {}
    try:
        with pq.ParquetFile(arrow_path(path)) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=["field", "feature_id"]):
                names = np.asarray(batch.column("field").cast(pa.string()))
                ids = np.asarray(batch.column("feature_id"))
                for name in np.unique(names):
                    parts.setdefault(str(name), []).append(ids[names == name])
    except (OSError, ValueError, KeyError) as e:
        raise InputDataError(
            f"{path} cannot be read ({e}), and it says which field an id belongs to. Copy the data set again."
        ) from e
    return {name: np.concatenate(ids) for name, ids in parts.items()}
