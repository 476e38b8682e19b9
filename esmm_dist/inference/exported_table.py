"""The rows of one table in an exported graph."""

import tensorflow as tf

from esmm_dist.checkpoint.sorted_rows import SortedRows
from esmm_dist.embedding.start_values import PICK_BITS, StartValues
from esmm_dist.hashing import GOLDEN, MIX_1, MIX_2


class ExportedTable(tf.Module):
    """The rows of one table, found by binary search; an id without a row reads its start value, as in a store."""

    def __init__(self, rows: SortedRows, start: StartValues, *, seed: int, name: str) -> None:
        """Take over the rows.

        Args:
            rows: all rows of the table
            start: start values, which ids without a row read
            seed: seed of the run
            name: prefix of the variables' names
        """
        super().__init__()
        self._has_rows = len(rows.ids) > 0
        self._hash_offset = ((seed & 0xFFFF_FFFF_FFFF_FFFF) + 1) * int(GOLDEN) & 0xFFFF_FFFF_FFFF_FFFF
        self.ids = tf.Variable(rows.ids, trainable=False, name=f"{name}_ids")
        self.rows = tf.Variable(rows.rows, trainable=False, name=f"{name}_rows")
        self.scales = None
        if rows.scales is not None:
            self.scales = tf.Variable(rows.scales, trainable=False, name=f"{name}_scales")
        self.start_rows = tf.Variable(start.choices, trainable=False, name=f"{name}_start_rows")

    def lookup(self, ids: tf.Tensor) -> tf.Tensor:
        """Return the rows of ids int64 [U], in any order: float32 [U, D]."""
        start = tf.gather(self.start_rows, self._picks(ids))
        if not self._has_rows:
            return start
        known = self.ids.read_value()
        place = tf.minimum(tf.searchsorted(known, ids, out_type=tf.int64), tf.size(known, out_type=tf.int64) - 1)
        has_row = tf.gather(known, place) == ids
        return tf.where(has_row[:, tf.newaxis], self._read(place), start)

    def knows(self, ids: tf.Tensor) -> tf.Tensor:
        """Return which ids have a row, bool [N]; ids are int64 [N], in any order."""
        if not self._has_rows:
            return tf.zeros_like(ids, tf.bool)
        known = self.ids.read_value()
        place = tf.minimum(tf.searchsorted(known, ids, out_type=tf.int64), tf.size(known, out_type=tf.int64) - 1)
        return tf.gather(known, place) == ids

    def _read(self, place: tf.Tensor) -> tf.Tensor:
        """Return rows as ``served_model.row_types.read_back`` does: float32 [U, D]."""
        rows = tf.gather(self.rows, place)
        if self.scales is None:
            return rows
        return tf.cast(rows, tf.float32) * tf.gather(self.scales, place)[:, tf.newaxis]

    def _picks(self, ids: tf.Tensor) -> tf.Tensor:
        """Return the start row of each id: ``StartValues.rows`` in TensorFlow, whose uint64 wraps around as NumPy's."""
        h = tf.bitcast(ids, tf.uint64) + tf.constant(self._hash_offset, tf.uint64)
        for shift, factor in ((30, int(MIX_1)), (27, int(MIX_2)), (31, 1)):
            h = tf.bitwise.bitwise_xor(h, tf.bitwise.right_shift(h, tf.constant(shift, tf.uint64)))
            h *= tf.constant(factor, tf.uint64)
        return tf.cast(tf.bitwise.right_shift(h, tf.constant(64 - PICK_BITS, tf.uint64)), tf.int64)
