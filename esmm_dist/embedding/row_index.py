"""Where an id's row is: TFRA's cuckoo hash table, id -> row number, or the count of an id that has no row yet."""

import threading

import numpy as np
import tensorflow as tf

from esmm_dist.arrays import Ids
from esmm_dist.embedding.admission import MOST_COUNTED_IMPRESSIONS
from esmm_dist.embedding.row_cache import RowCache
from esmm_dist.embedding.table_rows import Candidates
from esmm_dist.process.quiet import import_tfra

NO_ROW = -1
"""What ``find`` gives for an id that is not in the table."""


_IMPRESSION_BITS = 32


def candidate_code(impressions: Ids, last_step: Ids | int) -> Ids:
    """Return the code in place of a row number for ids without a row, below ``NO_ROW``.

    Args:
        impressions: int64 [c], those that have held each id, 1 to ``MOST_COUNTED_IMPRESSIONS``
        last_step: int64 [c] or one for all, the last step that held it, 0 to 2^31 - 1
    """
    return NO_ROW - (impressions + (np.asarray(last_step, dtype=np.int64) << _IMPRESSION_BITS))


def candidate_impressions(codes: Ids) -> Ids:
    """Return the impressions of ``candidate_code``, 0 for ``NO_ROW``."""
    return (NO_ROW - codes) & MOST_COUNTED_IMPRESSIONS


def candidate_last_step(codes: Ids) -> Ids:
    """Return the last steps of ``candidate_code``, 0 for ``NO_ROW``."""
    return (NO_ROW - codes) >> _IMPRESSION_BITS


class RowIndex:
    """A map of int64 ids to int64 codes: a row number (0, 1, ...), ``NO_ROW``, or a ``candidate_code``.

    The hash table is the record; it holds 8-byte row numbers and not the rows themselves: so it finds 8 M ids a second
    on two cores at 4.5 M entries, where with 48 floats as the value it finds 2 M and takes four times the memory
    (DESIGN section 3). In front of it is a cache, which finds an id in 20 CPU-nanoseconds instead of 300; the
    hash table is asked for what the cache does not hold.

    Ownership: any thread may call ``find`` at any time; the other methods may run beside ``find``, one at a time. The
    lock guards the cache, so that nobody reads half of a pair, and ``_num_changes``: what the hash table said before a
    change never enters the cache after it.
    """

    def __init__(self, name: str, *, expected_ids: int = 0) -> None:
        """Make an empty index.

        Args:
            name: appears in TensorFlow's errors
            expected_ids: ids that it will hold; a hash table that is made for 4.5 M of them takes them in a third of
                the time that it takes one that grows (0.9 in place of 2.7 CPU-seconds)
        """
        with tf.device("/CPU:0"):
            self._table = import_tfra().dynamic_embedding.CuckooHashTable(
                key_dtype=tf.int64,
                value_dtype=tf.int64,
                default_value=tf.constant([NO_ROW], dtype=tf.int64),
                name=name,
                init_size=expected_ids,
            )
        self._cache = RowCache()
        self._num_changes = 0
        self._lock = threading.Lock()

    def find(self, ids: Ids) -> Ids:
        """Return the code of each id, int64 [U]; negative where it has no row."""
        with self._lock:
            codes = self._cache.find(ids)
            num_changes = self._num_changes
        unknown = np.flatnonzero(codes == NO_ROW)
        if len(unknown):
            unknown_ids = ids[unknown]
            with tf.device("/CPU:0"):
                found = self._table.lookup(tf.constant(unknown_ids)).numpy().reshape(-1)
            codes[unknown] = found
            exist = found != NO_ROW
            if exist.any():
                with self._lock:
                    if self._num_changes == num_changes:
                        self._cache.put(unknown_ids[exist], found[exist])
        return codes

    def set(self, ids: Ids, codes: Ids) -> None:
        """Set the codes int64 [U] of ``ids`` int64 [U], each at most once; what they had before is replaced."""
        if len(ids) == 0:
            return
        with tf.device("/CPU:0"):
            self._table.insert(tf.constant(ids), tf.constant(codes[:, np.newaxis]))
        with self._lock:
            self._cache.put(ids, codes)
            self._num_changes += 1

    def remove(self, ids: Ids) -> None:
        """Forget ids."""
        if len(ids) == 0:
            return
        with tf.device("/CPU:0"):
            self._table.remove(tf.constant(ids))
        with self._lock:
            self._cache.remove(ids)
            self._num_changes += 1

    def candidates(self) -> Candidates:
        """Return the ids without a row that impressions have held, ordered by id."""
        with tf.device("/CPU:0"):
            ids, codes = (exported.numpy().reshape(-1) for exported in self._table.export())
        chosen = codes < NO_ROW
        ids, codes = ids[chosen], codes[chosen]
        order = np.argsort(ids)
        ids, codes = ids[order], codes[order]
        return Candidates(ids=ids, impressions=candidate_impressions(codes), last_step=candidate_last_step(codes))

    def __len__(self) -> int:
        """Return the number of ids."""
        return int(self._table.size().numpy())
