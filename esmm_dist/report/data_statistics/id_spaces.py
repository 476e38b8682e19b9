"""Fields that share their ids (``ids_of``): their train impressions added up, as ``--min-count`` counts them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.report.data_statistics.id_counter import IdCounts
from esmm_dist.schema.fields import Field


@dataclass(frozen=True, kw_only=True)
class SharedIds:
    """The train impressions of all ids that some fields share."""

    ids: I64
    """int64 [n], ascending"""
    counts: I64
    """int64 [n]: impressions that hold each, of all these fields together"""

    def of(self, ids: I64) -> I64:
        """Return the impressions of ids, int64 [m], each of which is among them."""
        found: I64 = self.counts[np.searchsorted(self.ids, ids)]
        return found


def shared_ids(fields: Sequence[Field], counted: Mapping[str, IdCounts], column: int) -> dict[str, SharedIds]:
    """Return what is shared, by the name of each field that shares its ids with another one.

    Left out are fields of which one has a sample of its ids alone: samples of different shares do not add up.

    Args:
        fields: all fields
        counted: ids of each field
        column: column of train
    """
    spaces: dict[str, list[str]] = {}
    for field in fields:
        spaces.setdefault(field.id_space, []).append(field.name)
    found: dict[str, SharedIds] = {}
    for names in spaces.values():
        if len(names) > 1 and all(counted[name].share == 1 for name in names):
            ids, places = np.unique(np.concatenate([counted[name].ids for name in names]), return_inverse=True)
            each = np.concatenate([counted[name].counts[:, column] for name in names])
            sums = np.bincount(places, weights=each, minlength=len(ids)).astype(np.int64)
            found |= dict.fromkeys(names, SharedIds(ids=ids, counts=sums))
    return found
