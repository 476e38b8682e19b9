"""Where an id's row is: TFRA's cuckoo hash table, id -> row number, or the count of an id that has no row yet."""

import threading

import numpy as np
import tensorflow as tf

from esmm_dist.arrays import Ids
from esmm_dist.process.quiet import import_tfra

NO_ROW = -1
"""What ``find`` gives for an id that is not in the table."""

_CACHE_BITS = 22
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def candidate_code(impressions: Ids) -> Ids:
    """Return the code in place of a row number for ids without a row that impressions have held: -2, -3, ..."""
    return -1 - impressions


def candidate_impressions(codes: Ids) -> Ids:
    """Return the impressions of ``candidate_code``, 0 for ``NO_ROW``."""
    return -1 - codes


class RowIndex:
    """A map of int64 ids to int64 codes: a row number (0, 1, ...), ``NO_ROW``, or a ``candidate_code``.

    The hash table holds 8-byte row numbers and not the rows themselves: so it finds 8 M ids a second on two cores at
    4.5 M entries, where with 48 floats as the value it finds 2 M and takes four times the memory (DESIGN section 3).
    In front of it is a direct-mapped cache of up to 4 M pairs (64 MB, touched only as far as it is used): an id it
    knows costs 40 CPU-nanoseconds instead of 300.

    Ownership: any thread may call ``find`` at any time; the other methods may run beside
    ``find``, one at a time. The lock
    guards the cache, whose pairs are not written at once.
    """

    def __init__(self, name: str) -> None:
        """Make an empty index. ``name`` appears in TensorFlow's errors."""
        with tf.device("/CPU:0"):
            self._table = import_tfra().dynamic_embedding.CuckooHashTable(
                key_dtype=tf.int64,
                value_dtype=tf.int64,
                default_value=tf.constant([NO_ROW], dtype=tf.int64),
                name=name,
            )
        # (id, row + 1): zeros, which take no memory until they are written, mean "empty"
        self._cache = np.zeros((1 << _CACHE_BITS, 2), dtype=np.int64)
        self._lock = threading.Lock()

    def find(self, ids: Ids) -> Ids:
        """Return the code of each id, int64 [U]; negative where it has no row."""
        slots = _cache_slots(ids)
        with self._lock:
            pairs = self._cache.take(slots, axis=0)
        rows = pairs[:, 1] - 1
        unknown = np.flatnonzero((pairs[:, 0] != ids) | (rows == NO_ROW))
        if len(unknown):
            unknown_ids = ids[unknown]
            with tf.device("/CPU:0"):
                found = self._table.lookup(tf.constant(unknown_ids)).numpy().reshape(-1)
            rows[unknown] = found
            exist = found >= 0
            self._remember(slots[unknown[exist]], unknown_ids[exist], found[exist])
        return rows

    def set(self, ids: Ids, codes: Ids) -> None:
        """Set the codes int64 [U] of ``ids`` int64 [U], each at most once; what they had before is replaced.

        An id that had a row must get another row, or be removed first.
        """
        if len(ids) == 0:
            return
        with tf.device("/CPU:0"):
            self._table.insert(tf.constant(ids), tf.constant(codes[:, np.newaxis]))
        with_row = codes >= 0
        if not with_row.all():
            ids, codes = ids[with_row], codes[with_row]
        self._remember(_cache_slots(ids), ids, codes)

    def remove(self, ids: Ids) -> None:
        """Forget ids."""
        if len(ids) == 0:
            return
        with tf.device("/CPU:0"):
            self._table.remove(tf.constant(ids))
        slots = _cache_slots(ids)
        with self._lock:
            slots = slots[self._cache[slots, 0] == ids]
            self._cache[slots] = 0

    def candidates(self) -> tuple[Ids, Ids]:
        """Return the ids without a row that impressions have held, ascending, and those impressions: int64 [c] each."""
        with tf.device("/CPU:0"):
            ids, codes = (exported.numpy().reshape(-1) for exported in self._table.export())
        chosen = codes < NO_ROW
        ids, codes = ids[chosen], codes[chosen]
        order = np.argsort(ids)
        return ids[order], candidate_impressions(codes[order])

    def __len__(self) -> int:
        """Return the number of ids."""
        return int(self._table.size().numpy())

    def _remember(self, slots: Ids, ids: Ids, rows: Ids) -> None:
        pairs = np.stack([ids, rows + 1], axis=1)
        with self._lock:
            self._cache[slots] = pairs


def _cache_slots(ids: Ids) -> Ids:
    """Fibonacci hashing: spreads runs of neighbouring ids evenly (Knuth, TAOCP volume 3, section 6.4)."""
    return ((ids.view(np.uint64) * _GOLDEN) >> np.uint64(64 - _CACHE_BITS)).view(np.int64)
