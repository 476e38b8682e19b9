"""Count user contexts, whose impressions are in several records, and the contexts of each user.

A record has ``group_size`` impressions of a context at the most, and does not say of which. But records of one context
have the same ids in the user fields, and a context is here what has the same ids in all of them. Contexts that differ
in ids alone that preprocess dropped count as one.
"""

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.kernels.id_counts import copy_contexts, count_contexts
from esmm_dist.report.data_statistics.drift import effective_size
from esmm_dist.report.data_statistics.histogram import count_histogram
from esmm_dist.report.data_statistics.statistics import CountHistogram

_FEWEST_SLOTS = 1 << 12
_LAST_LEVEL = 50  # a single user with more contexts than fit stays


class ContextCounter:
    """Counts the contexts of all splits; of more than fit into memory all those of some users, chosen by a hash."""

    def __init__(self, columns: int, most: int) -> None:
        """Count nothing yet.

        Args:
            columns: number of splits, C
            most: contexts that are counted one by one
        """
        self._most, self._level, self._used = most, 0, 0
        self._table = np.zeros((_FEWEST_SLOTS, 2 + columns), np.int64)

    @property
    def is_sample(self) -> bool:
        """Whether the contexts of some users alone are counted."""
        return self._level > 0

    def count(self, column: int, hashes: I64, users: I64, impressions: I64) -> None:
        """Add records.

        Args:
            column: split
            hashes: int64 [R], of the contexts
            users: int64 [R], id of the user of each; -1: none
            impressions: int64 [R]
        """
        state = np.array([0, self._used])
        while True:
            count_contexts((hashes, users, impressions), self._table, (column, self._level), state)
            self._used = int(state[1])
            while self._used > self._most and self._level < _LAST_LEVEL:
                self._level += 1
                self._copy(len(self._table))
            if state[0] == len(hashes):
                return
            while self._used >= len(self._table) // 8 * 5:
                self._copy(2 * len(self._table))
            state[1] = self._used

    def contexts(self, column: int) -> float:
        """Return the (estimated) number of contexts in a split."""
        return float((self._rows()[:, 2 + column] > 0).sum()) / self._share

    def impressions_a_context(self, column: int) -> CountHistogram:
        """Return how many contexts have how many impressions in a split."""
        counts = self._rows()[:, 2 + column]
        counts = counts[counts > 0]
        return count_histogram(counts, np.full(len(counts), 1 / self._share))

    def contexts_a_user(self, column: int) -> CountHistogram:
        """Return how many users have how many contexts in a split; those without a user are left out."""
        rows = self._rows()
        users = rows[(rows[:, 2 + column] > 0) & (rows[:, 1] >= 0), 1]
        _, counts = np.unique(users, return_counts=True)
        return count_histogram(counts.astype(np.int64), np.full(len(counts), 1 / self._share))

    def effective_users(self, column: int) -> float:
        """Return how many users of equally many impressions would say as much (``drift.effective_size``).

        A context without a user counts as one of its own.
        """
        rows = self._rows()
        rows = rows[rows[:, 2 + column] > 0]
        names = np.where(rows[:, 1] >= 0, rows[:, 1], -rows[:, 0] - 1)
        _, places = np.unique(names, return_inverse=True)
        impressions = np.bincount(places, weights=rows[:, 2 + column]).astype(np.float64)
        return effective_size(impressions, np.full(len(impressions), 1 / self._share))

    @property
    def _share(self) -> float:
        return 0.5**self._level

    def _rows(self) -> I64:
        rows: I64 = self._table[self._table[:, 0] != 0]
        return rows

    def _copy(self, slots: int) -> None:
        other = np.zeros((slots, self._table.shape[1]), np.int64)
        self._used = copy_contexts(self._table, other, self._level)
        self._table = other
