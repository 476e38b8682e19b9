"""How popular items are, by their impressions in the train split."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from esmm_dist.arrays import I64, U8
from esmm_dist.errors import InputDataError
from esmm_dist.schema.fields import Field
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.storage.arrow_path import arrow_path

UNSEEN = 0
GROUPS = ("rare", "middle", "popular")
"""Groups 1 .. 3: each holds about a third of the train impressions."""

_BATCH_ROWS = 1 << 20  # 17 MB


@dataclass(frozen=True, kw_only=True)
class ItemGroups:
    """Items by popularity: 9 bytes an item that train impressions hold."""

    ids: I64
    """int64 [N], ascending"""
    groups: U8
    """uint8 [N], 1 .. 3"""
    notes: tuple[str, ...]
    """What is in each group, ``UNSEEN`` first."""

    def of(self, ids: I64) -> I64:
        """Return the group of each id, int64 [B]; ``UNSEEN``: no train impression counts for it."""
        if not len(self.ids):
            return np.full(len(ids), UNSEEN)
        places = np.searchsorted(self.ids, ids).clip(max=len(self.ids) - 1)
        return np.where(self.ids[places] == ids, self.groups[places], np.int64(UNSEEN)).astype(np.int64)


def item_groups(data: Path, manifest: DatasetManifest, field: Field) -> ItemGroups:
    """Cut the items of a data set into groups by their counts in its vocabulary.

    In the order of their counts, items are cut where a third and two thirds of the train impressions are reached. Items
    of one count stay together, in the group that holds the middle of their impressions. Where another field has the
    item's ids (``Field.ids_of``), its impressions count too.

    Args:
        data: data set
        manifest: manifest of the data set
        field: field of the item

    Raises:
        InputDataError: The vocabulary is missing or damaged.
    """
    ids, counts = _counts(data / manifest.vocabulary_file, field.id_space)
    ids, counts = ids[counts > 0], counts[counts > 0]
    values, inverse, items = np.unique(counts, return_inverse=True, return_counts=True)
    impressions = values * items
    doubled = 2 * (np.cumsum(impressions) - impressions) + impressions  # twice the middle of each count
    of_values = np.minimum(len(GROUPS) * doubled // max(2 * int(impressions.sum()), 1), len(GROUPS) - 1)
    notes = ["not in the vocabulary, or no id"]
    for number in range(len(GROUPS)):
        in_group = np.flatnonzero(of_values == number)
        notes.append(_note(values[in_group], int(items[in_group].sum())))
    order = np.argsort(ids)
    groups = (of_values + 1).astype(np.uint8)[inverse]
    return ItemGroups(ids=ids[order], groups=groups[order], notes=tuple(notes))


def _note(counts: I64, items: int) -> str:
    if not len(counts):
        return "no item"
    span = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{items:,} ids, " + ("once in train" if counts[-1] == 1 else f"{span} times in train")


def _counts(path: Path, id_space: str) -> tuple[I64, I64]:
    """Return the ids of one field, and how many train impressions hold each."""
    ids, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    try:
        with pq.ParquetFile(arrow_path(path)) as file:
            for batch in file.iter_batches(_BATCH_ROWS):
                of_field = np.asarray(pc.equal(batch.column("field").cast(pa.string()), id_space))
                ids.append(np.asarray(batch.column("feature_id"))[of_field])
                counts.append(np.asarray(batch.column("count"))[of_field])
    except (OSError, ValueError, KeyError) as e:
        raise InputDataError(
            f"{path} cannot be read ({e}), and it says how popular items are. Copy the data set again, or leave out "
            "--segments."
        ) from e
    return np.concatenate(ids), np.concatenate(counts)
