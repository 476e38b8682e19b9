"""From what was counted of one field to its statistics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from esmm_dist.arrays import F64, I64, Bools
from esmm_dist.report.data_statistics.drift import TOP_IDS, Drift, drift
from esmm_dist.report.data_statistics.histogram import CountTally
from esmm_dist.report.data_statistics.id_counter import IdCounts
from esmm_dist.report.data_statistics.id_spaces import SharedIds
from esmm_dist.report.data_statistics.statistics import (
    FieldInSplit,
    FieldStatistics,
    IdFrequency,
    NumericDistribution,
)
from esmm_dist.schema.feature_id import missing_id
from esmm_dist.schema.field import Field

_STEPS = (1, 2, 5)


@dataclass(frozen=True, kw_only=True)
class DroppedIds:
    """What preprocess dropped of one field, as the data set's report says; None: it does not."""

    ids: int | None = None
    """Distinct ids of train."""
    occurrences: Mapping[str, int | None]
    """By split."""
    impressions: Mapping[str, int | None]
    """By split, impressions whose ids were all dropped."""
    train_counts: I64 | None = None
    """int64 [n]: train impressions that hold each of them."""
    min_count: int | None = None
    has_kept_in_train: bool = True
    """Whether train holds every id that was kept, so that an id of another split is in train or was dropped."""
    rarest_occurrences: float = 0.0
    """Train impressions that hold an id of ``min_count`` impressions, of a train split that is not read whole."""
    is_shared: bool = False
    """Whether other fields have the same ids, which count for them too."""


@dataclass(frozen=True, kw_only=True)
class CountedField:
    """One field, read in all splits."""

    field: Field
    splits: Sequence[str]
    counted: IdCounts
    """A column a split."""
    tallies: Mapping[str, CountTally]
    impressions: Mapping[str, int]
    """By split."""
    sizes: Mapping[str, float]
    """By split, independent things behind the ids, see ``drift``."""
    dropped: DroppedIds
    shared: SharedIds | None = None
    """Ids that it shares with other fields; None: there are none, or they are not known."""
    is_whole: bool = True
    """Whether all records were read, so that an id that was not counted in train is not in train."""

    def statistics(self) -> FieldStatistics:
        """Return the statistics."""
        field = self.field
        return FieldStatistics(
            name=field.name,
            alias=field.alias,
            owner=field.owner,
            kind=kind_of(field),
            splits={split: self._in_split(split) for split in self.splits},
            frequency=self._frequency(),
            ids_are_estimates=self.counted.share < 1,
            ids_share=self.counted.share,
            numeric=self._numeric(),
            dropped_ids=self.dropped.ids,
            min_count=self.dropped.min_count,
            ids_of=field.ids_of,
        )

    def _counts(self, split: str) -> I64:
        return self.counted.counts[:, self.splits.index(split)]

    def _sum(self, values: I64 | Bools, chosen: Bools | None = None) -> int:
        """Return the (estimated) sum over all ids of what is known of those that were counted."""
        if self.counted.share == 1:  # each stands for itself
            counted = values if chosen is None else values[chosen]
            return int(np.count_nonzero(counted) if counted.dtype == np.bool_ else counted.sum())
        weighted = self.counted.weights * values
        return round(float(weighted.sum() if chosen is None else weighted[chosen].sum()))

    def _in_split(self, split: str) -> FieldInSplit:
        counts, tally = self._counts(split), self.tallies[split]
        there = counts > 0
        compared = split != "train" and "train" in self.splits
        unseen = there & self._is_new(split) if compared and self._knows_train else None
        found = self._drift(split) if compared else None
        return FieldInSplit(
            distinct_ids=self._sum(there),
            occurrences=self._sum(counts) if self.field.multi_hot else tally.sum,
            covered=self.impressions[split] - tally.without - self._missing(split),
            ids_an_impression=tally.histogram(),
            unseen_ids=None if unseen is None else self._sum(unseen),
            unseen_occurrences=None if unseen is None else self._sum(counts, unseen),
            psi=found.psi if found is not None else None,
            psi_noise=found.noise if found is not None else None,
            not_kept=self.dropped.impressions.get(split),
            dropped_occurrences=self.dropped.occurrences.get(split),
        )

    @property
    def _knows_train(self) -> bool:
        return self.is_whole or self.dropped.has_kept_in_train

    def _is_new(self, split: str) -> Bools:
        """Return which ids train has not; of train itself those that would be new to all its other impressions."""
        counts = self._counts("train") if self.shared is None else self.shared.of(self.counted.ids)
        if not self.is_whole:
            return np.zeros(len(counts), np.bool_)
        is_new: Bools = counts <= (0 if split != "train" else self.dropped.min_count or 1)
        if split == "train":
            is_new[self._top] = False
        return is_new

    @cached_property
    def _missing_place(self) -> I64:
        """Where the id stands that means that there is no value: int64 [1 or 0]."""
        if self.field.missing != "id":
            return np.empty(0, np.int64)
        return np.flatnonzero(self.counted.ids == missing_id(self.field.name))

    def _missing(self, split: str) -> int:
        return int(self._counts(split)[self._missing_place].sum())

    def _frequency(self) -> IdFrequency:
        if "train" not in self.splits:
            return IdFrequency(min_counts=[], ids=[], occurrences=[])
        counts, weights, rare = self._counts("train"), self.counted.weights, self.dropped.train_counts
        if self.shared is not None:
            counts, weights = self.shared.counts, np.ones(len(self.shared.counts))
        if rare is not None and (self.shared is not None or not self.dropped.is_shared):
            counts, weights = np.concatenate([counts, rare]), np.concatenate([weights, np.ones(len(rare))])
        return id_frequency(counts, weights)

    def _numeric(self) -> NumericDistribution | None:
        numeric = self.field.numeric
        if numeric is None or numeric.edges is None:
            return None
        place = {id_: at for at, id_ in enumerate(self.counted.ids.tolist())}
        places = np.array([place.get(id_, -1) for id_ in numeric.ids(self.field.name).tolist()])
        buckets = (
            {split: np.where(places < 0, 0, self._counts(split)[places]) for split in self.splits} if place else {}
        )
        none = np.zeros(len(places), np.int64)
        not_kept = {split: self.dropped.impressions.get(split) or 0 for split in self.splits}
        return NumericDistribution(
            edges=list(numeric.edges),
            impressions={split: buckets.get(split, none).tolist() for split in self.splits},
            missing={
                split: max(self.tallies[split].without + self._missing(split) - not_kept[split], 0)
                for split in self.splits
            },
            not_kept=not_kept,
        )

    def _drift(self, split: str) -> Drift | None:
        bins = [self._bins(each) for each in ("train", split)]
        return drift(bins[0], bins[1], self.sizes["train"], self.sizes[split])

    def _bins(self, split: str) -> F64:
        """Return the (estimated) occurrences in each bin of ``drift``: float64 [B]."""
        occurrences, is_new = self.counted.weights * self._counts(split), self._is_new(split)
        is_other = ~is_new
        is_other[self._top] = False
        would_be_new = self.dropped.rarest_occurrences if split == "train" else 0.0
        dropped = self.dropped.occurrences.get(split) or 0
        empty = self.tallies[split].without - (self.dropped.impressions.get(split) or 0)
        rest = [
            float(occurrences[is_other].sum()) - would_be_new,
            float(occurrences[is_new].sum()) + dropped + would_be_new,
            float(empty),
        ]
        return np.maximum(np.concatenate([occurrences[self._top], rest]), 0.0)

    @cached_property
    def _top(self) -> I64:
        """Places of the ids that have a bin for themselves: int64 [k]."""
        counts = np.where(self.counted.weights == 1, self._counts("train"), 0)
        most = len(counts) if self.field.numeric is not None else TOP_IDS
        if most < len(counts):
            least = np.partition(counts, -most)[-most]
            places = np.flatnonzero(counts >= max(least, 1))  # more than so many, where several have as few
        else:
            places = np.flatnonzero(counts > 0)
        order = np.lexsort((self.counted.ids[places], -counts[places]))
        top: I64 = places[order[:most]]
        return top


def id_frequency(counts: I64, weights: F64) -> IdFrequency:
    """Return how many ids occur how often at least.

    Args:
        counts: int64 [n], how often each id occurs
        weights: float64 [n], how many ids each stands for
    """
    largest = int(counts.max(initial=0))
    least = min_counts(largest)
    places = np.searchsorted(least, counts, side="right")  # into how many sums each count goes
    ids_above, occurrences_above = (
        # Whole numbers, so that their order does not change the sums
        np.cumsum(np.bincount(places, weights=each, minlength=len(least) + 1)[:0:-1])[::-1]
        for each in (weights, weights * counts)
    )
    return IdFrequency(
        min_counts=least,
        ids=[round(each) for each in ids_above.tolist()],
        occurrences=[round(each) for each in occurrences_above.tolist()],
    )


def min_counts(largest: int) -> list[int]:
    """Return 1, 2, 3, 5, 10, 20, 50, 100, ... up to a number."""
    found, factor = [1, 2, 3, 5], 10
    while factor <= largest:
        found += [step * factor for step in _STEPS]
        factor *= 10
    return [each for each in found if each <= largest]


def kind_of(field: Field) -> str:
    """Return what a field is, in a word."""
    if field.numeric is not None:
        return "numeric"
    if field.cross:
        return "cross"
    if field.of_time is not None:
        return "time"
    if field.weighted:
        return "weighted multi-hot" if field.multi_hot else "weighted one-hot"
    return "multi-hot" if field.multi_hot else "one-hot"
