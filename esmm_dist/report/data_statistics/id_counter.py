"""Count the ids of one field in all splits: every id, or a sample of them that fits into memory.

A sample is chosen by a hash of the ids, so that an id is in it for all splits or for none, and all impressions that
hold it are counted. When the ids become more than a limit, half of them are dropped, and from then on half of what
comes is not counted: an id that stays was there all along. Sums over a sample, divided by its share, are unbiased
estimates of sums over all ids (Horvitz and Thompson, 1952).

Frequent ids would make such estimates uncertain, as one in or out of the sample is a large part of all occurrences.
So the most frequent ids of the first split, as they are when the limit is first met, stay whatever their hash, and
count for themselves alone. Their choice does not depend on the hash, so that the estimates stay unbiased.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from esmm_dist.arrays import F64, I64
from esmm_dist.kernels.id_counts import (
    MOST_MARKS,
    clear_marks,
    copy_chosen,
    count_lists,
    counted_ids,
    move_ids,
)

_FEWEST_SLOTS = 1 << 12
_PINNED_IDS = 1000
_PINNED_SLOTS = 1 << 12
_LAST_LEVEL = 50


@dataclass(frozen=True, kw_only=True)
class IdCounts:
    """n ids of a field and the impressions that hold them."""

    ids: I64
    """int64 [n], in no order"""
    counts: I64
    """int64 [n, C]: impressions that hold each id, by split"""
    weights: F64
    """float64 [n]: how many ids each stands for; 1 where all are counted"""
    share: float
    """Share of the ids that the sample keeps, of those that are not kept whatever their hash; 1: all are counted."""


class IdCounter:
    """Counts the ids of one field, column by column."""

    def __init__(self, columns: int, most_ids: int, *, pinned: Sequence[int] = ()) -> None:
        """Count nothing yet.

        Args:
            columns: number of splits, C
            most_ids: ids that are counted one by one; of more a sample is counted
            pinned: ids that are counted in any case
        """
        self._most_ids, self._always = most_ids, pinned
        self._table = np.zeros((_FEWEST_SLOTS, 1 + columns), np.int64)
        self._pinned = np.zeros((1, 1 + columns), np.int64)
        self._used, self._mark, self._level = 0, 0, 0

    def count(self, column: int, lists: tuple[I64, I64, I64], impressions: I64) -> None:
        """Count the ids of lists.

        Args:
            column: split
            lists: ids int64 [N]; where each of R lists begins among them, and its length, int64 [R]
            impressions: int64 [R]: impressions that have each list
        """
        lengths = lists[2]
        if self._mark + len(lengths) > MOST_MARKS:
            clear_marks(self._table)
            clear_marks(self._pinned)
            self._mark = 0
        state = np.array([0, self._mark, self._used])
        while True:
            options = (column + 1, self._level, int(self._level > 0))
            count_lists(lists, impressions, (self._table, self._pinned), options, state)
            self._used = int(state[2])
            while self._used > self._most_ids and self._level < _LAST_LEVEL:
                self._halve()
            state[2] = self._used
            if state[0] == len(lengths):
                break
            while self._used + lengths[state[0]] > len(self._table) // 8 * 5:
                self._grow()
        self._mark = int(state[1])

    def counted(self) -> IdCounts:
        """Return what was counted."""
        ids, counts = counted_ids(self._table)
        share = 0.5**self._level
        weights = np.full(len(ids), 1 / share)
        if self._level:
            pinned_ids, pinned_counts = counted_ids(self._pinned)
            ids, counts = np.concatenate([pinned_ids, ids]), np.concatenate([pinned_counts, counts])
            weights = np.concatenate([np.ones(len(pinned_ids)), weights])
        return IdCounts(ids=ids, counts=counts, weights=weights, share=share)

    def _grow(self) -> None:
        larger = np.zeros((2 * len(self._table), self._table.shape[1]), np.int64)
        copy_chosen(self._table, larger, 0)
        self._table = larger

    def _halve(self) -> None:
        """Drop half of the ids."""
        if self._level == 0:
            ids, counts = counted_ids(self._table)
            first = counts[:, 0] if counts[:, 0].any() else counts.sum(axis=1)
            most = np.argsort(-first, kind="stable")[:_PINNED_IDS]
            pinned = np.unique(np.concatenate([ids[most], np.array(self._always, np.int64)]))
            self._pinned = np.zeros((_PINNED_SLOTS, self._table.shape[1]), np.int64)
            move_ids(self._table, self._pinned, pinned)
        self._level += 1
        other = np.zeros_like(self._table)
        self._used = copy_chosen(self._table, other, self._level)
        self._table = other
