"""Where an id's row stands: TFRA's cuckoo hash table, id -> row number."""

import threading

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from esmm_dist.quiet import import_tfra

NO_ROW = -1

_CACHE_BITS = 22
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class RowIndex:
    """A map of int64 ids to int64 row numbers.

    The hash table holds 8-byte row numbers and not the rows themselves: so it finds 8 M ids a second on two cores at
    4.5 M entries, where with 48 floats as the value it finds 2 M and takes four times the memory (DESIGN section 3).
    In front of it stands a direct-mapped cache of up to 4 M pairs (64 MB, touched only as far as it is used): an id it
    knows costs 40 CPU-nanoseconds instead of 300.

    Ownership: any thread may call ``find`` at any time; ``add`` may run beside ``find``, not beside ``add``. The lock
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

    def find(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the row number of each id, int64 [U]; -1 where it has none."""
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
            exist = found != NO_ROW
            self._remember(slots[unknown[exist]], unknown_ids[exist], found[exist])
        return rows

    def add(self, ids: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> None:
        """Set the row numbers ``rows`` int64 [U] of ``ids`` int64 [U], which have none yet."""
        if len(ids) == 0:
            return
        with tf.device("/CPU:0"):
            self._table.insert(tf.constant(ids), tf.constant(rows[:, np.newaxis]))
        self._remember(_cache_slots(ids), ids, rows)

    def __len__(self) -> int:
        """Return the number of ids."""
        return int(self._table.size().numpy())

    def _remember(self, slots: npt.NDArray[np.int64], ids: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> None:
        pairs = np.stack([ids, rows + 1], axis=1)
        with self._lock:
            self._cache[slots] = pairs


def _cache_slots(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Fibonacci hashing: spreads runs of neighbouring ids evenly (Knuth, TAOCP volume 3, section 6.4)."""
    return ((ids.view(np.uint64) * _GOLDEN) >> np.uint64(64 - _CACHE_BITS)).view(np.int64)
