"""Where an id's row is, or the count of an id that has no row yet."""

import threading

import numpy as np
import tensorflow as tf

from esmm_dist.arrays import Ids
from esmm_dist.embedding.admission import MOST_COUNTED_IMPRESSIONS
from esmm_dist.embedding.id_map import IdMap
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

    Row numbers are in an ``IdMap``, which finds an id in 21 CPU-nanoseconds at 4.5 M rows, and tells in 24 that it has
    none, where TFRA's table takes 240. A row takes 19 bytes there, where it took 98 in TFRA's table and a cache.
    Candidates, which need 63 bits and come and go, are in TFRA's cuckoo hash table; it is asked for what has no row
    number, and only once there has been a candidate.

    Ownership: any thread may call ``find`` at any time; the other methods may run beside ``find``, one at a time. The
    lock guards the map of row numbers; TFRA's table has locks of its own. An id that gets a row has it before it stops
    to be a candidate; a ``find`` that has begun before may still give ``NO_ROW``, as of a moment between the two.
    """

    def __init__(self, name: str, *, expected_ids: int = 0) -> None:
        """Make an empty index.

        Args:
            name: appears in TensorFlow's errors
            expected_ids: ids with a row that it has room for before it grows
        """
        with tf.device("/CPU:0"):
            self._candidates = import_tfra().dynamic_embedding.CuckooHashTable(
                key_dtype=tf.int64,
                value_dtype=tf.int64,
                default_value=tf.constant([NO_ROW], dtype=tf.int64),
                name=name,
            )
        self._had_candidates = False
        self._rows = IdMap(expected_ids=expected_ids)
        self._lock = threading.Lock()

    @property
    def max_rows(self) -> int:
        """Ids that can have a row."""
        return self._rows.max_ids

    @property
    def num_candidates(self) -> int:
        """Ids without a row that impressions have held."""
        return int(self._candidates.size().numpy()) if self._had_candidates else 0

    def find(self, ids: Ids) -> Ids:
        """Return the code of each id, int64 [U]; negative where it has no row."""
        with self._lock:
            codes = self._rows.find(ids)
        if self._had_candidates:
            unknown = np.flatnonzero(codes == NO_ROW)
            if len(unknown):
                with tf.device("/CPU:0"):
                    codes[unknown] = self._candidates.lookup(tf.constant(ids[unknown])).numpy().reshape(-1)
        return codes

    def set_rows(self, ids: Ids, numbers: Ids) -> None:
        """Set the row numbers int64 [U] of ``ids`` int64 [U], each at most once; what they had before is replaced."""
        if len(ids) == 0:
            return
        with self._lock:
            self._rows.put(ids, numbers)
        self._remove_candidates(ids)

    def set_candidates(self, ids: Ids, codes: Ids) -> None:
        """Set the candidate codes int64 [U] of ``ids`` int64 [U], each at most once, which have no row."""
        if len(ids) == 0:
            return
        self._had_candidates = True
        with tf.device("/CPU:0"):
            self._candidates.insert(tf.constant(ids), tf.constant(codes[:, np.newaxis]))

    def remove(self, ids: Ids) -> None:
        """Forget ids."""
        if len(ids) == 0:
            return
        with self._lock:
            self._rows.remove(ids)
        self._remove_candidates(ids)

    def candidates(self) -> Candidates:
        """Return the ids without a row that impressions have held, ordered by id."""
        with tf.device("/CPU:0"):
            ids, codes = (exported.numpy().reshape(-1) for exported in self._candidates.export())
        order = np.argsort(ids)
        ids, codes = ids[order], codes[order]
        return Candidates(ids=ids, impressions=candidate_impressions(codes), last_step=candidate_last_step(codes))

    def __len__(self) -> int:
        """Return the number of ids."""
        return len(self._rows) + self.num_candidates

    def _remove_candidates(self, ids: Ids) -> None:
        if self._had_candidates:
            with tf.device("/CPU:0"):
                self._candidates.remove(tf.constant(ids))
