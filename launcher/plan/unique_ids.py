"""How many different ids a batch has, by the number of its records and impressions.

An id that an impression has with probability p is missing from a batch of n independent ones with probability
(1 - p)^n, so that a batch is expected to have Σ 1 - (1 - p)^n different ids. The frequencies p are counted where there
is a data set, else they follow a power law.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np

from esmm_dist.arrays import F64

_POINTS = 4000  # of the sum over the ranks of a power law: 0.1% off the full sum


class UniqueIds(Protocol):
    """The number of different ids in a batch."""

    def expected(self, records: float, impressions: float) -> float:
        """Return the expected number of different ids of a batch."""


@dataclass(frozen=True, eq=False)
class CountedIds:
    """From how often each id was seen.

    Ids of the user's fields are drawn once a record, the others once an impression.
    """

    user_chances: F64
    """float64 [n], chance that a record has an id, ids of equal chance together"""
    user_ids: F64
    """float64 [n], number of ids with this chance"""
    impression_chances: F64
    """float64 [m], the same of an impression"""
    impression_ids: F64
    """float64 [m]"""

    def expected(self, records: float, impressions: float) -> float:
        """Return the expected number of different ids of a batch."""
        users = _expected(self.user_chances, self.user_ids, records)
        return users + _expected(self.impression_chances, self.impression_ids, impressions)


@dataclass(frozen=True, kw_only=True)
class PowerLawIds:
    """From a power law: the k-th most frequent id has the frequency k^-s / Σ k^-s."""

    ids: int
    """Different ids in all"""
    skew: float
    """s"""
    ids_per_user: float
    """Ids of a record's user"""
    ids_per_impression: float
    """Ids of the impression's own fields"""

    def expected(self, records: float, impressions: float) -> float:
        """Return the expected number of different ids of a batch."""
        frequencies, ids = _power_law(self.ids, self.skew)
        draws = records * self.ids_per_user + impressions * self.ids_per_impression
        return float(np.sum(ids * -np.expm1(-draws * frequencies)))


def _expected(chances: F64, ids: F64, draws: float) -> float:
    return float(np.sum(ids * -np.expm1(draws * np.log1p(-np.minimum(chances, 1 - 1e-12)))))


@cache
def _power_law(ids: int, skew: float) -> tuple[F64, F64]:
    """Return frequencies float64 [n] and the number of ids that have each: single ids first, then growing ranges."""
    edges = np.unique(np.round(np.geomspace(1, ids + 1, _POINTS)))
    sizes = np.diff(edges)
    middles = np.sqrt(edges[:-1] * np.maximum(edges[1:] - 1, edges[:-1]))
    weights = middles**-skew
    return weights / np.sum(weights * sizes), sizes


def count_ids(vocabulary: Path, user_fields: frozenset[str], impressions: int) -> tuple[CountedIds, float, float]:
    """Return the frequencies of a data set's ids, the ids of a user and those of an impression's own fields.

    Args:
        vocabulary: the data set's ``vocabulary.parquet``: an id, its field, and its impressions in the train split
        user_fields: names of the fields that belong to the user
        impressions: impressions of the train split
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(vocabulary, columns=["field", "count"])
    names = table["field"].combine_chunks().dictionary.to_pylist() if table.num_rows else []
    codes = np.array([n for n, name in enumerate(names) if name in user_fields], dtype=np.int64)
    fields = table["field"].combine_chunks().indices.to_numpy() if table.num_rows else np.zeros(0, dtype=np.int64)
    counts = pc.cast(table["count"], "int64").to_numpy()
    of_user = np.isin(fields, codes)
    parts = []
    for chosen in (of_user, ~of_user):
        values, numbers = np.unique(counts[chosen], return_counts=True)
        parts += [values / impressions, numbers.astype(np.float64)]
    counted = CountedIds(*parts)
    return counted, float(parts[0] @ parts[1]), float(parts[2] @ parts[3])
