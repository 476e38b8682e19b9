"""The inputs of a request to an exported model, checked, and what the values of one field become."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from esmm_dist.schema.value_inputs import IMPRESSIONS_PER_GROUP, ColumnInputs


@dataclass(frozen=True, kw_only=True)
class FieldValues:
    """Ids of one field, with those of missing values, which all fields' are sorted out of at once."""

    row: tf.Tensor
    """int64 [N]: the row of each id"""
    ids: tf.Tensor
    """int64 [N]"""
    weights: tf.Tensor
    """float32 [N]"""
    present: tf.Tensor
    """bool [N]: whether it is the id of a value, or of a missing one that has an id"""


class RequestInputs:
    """Tensors of one dimension by name; each is checked where it is read."""

    def __init__(self, inputs: Mapping[str, tf.Tensor]) -> None:
        """Take the tensors."""
        self._inputs = inputs

    def changed(self, names: Sequence[str], change: Callable[[tf.Tensor], tf.Tensor]) -> "RequestInputs":
        """Return these inputs with some changed value by value, all of them in one call.

        Args:
            names: names of the inputs, of one type
            change: returns a value for each that it is given
        """
        given = [self._inputs[name] for name in names]
        if not given:
            return self
        sizes = tf.stack([tf.size(each) for each in given])
        parts = tf.split(change(tf.concat(given, 0)), sizes, num=len(given))
        return RequestInputs({**self._inputs, **dict(zip(names, parts, strict=True))})

    @property
    def groups(self) -> tf.Tensor:
        """The number of groups, int64 scalar."""
        return tf.size(self._inputs[IMPRESSIONS_PER_GROUP], out_type=tf.int64)

    def one_a_row(self, name: str, rows: tf.Tensor) -> tf.Tensor:
        """Return an input that has one value for each of ``rows``."""
        values = self._inputs[name]
        message = f"{name} has another number of rows than {IMPRESSIONS_PER_GROUP} says."
        with tf.control_dependencies(
            [tf.debugging.assert_equal(tf.size(values, out_type=tf.int64), rows, message=message)]
        ):
            return tf.identity(values)

    def weights(self, name: str, number: tf.Tensor) -> tf.Tensor:
        """Return an input of weights, one for each of ``number`` values, each finite and 0 or more as in a log."""
        weights = self._inputs[name]
        with tf.control_dependencies(
            [
                tf.debugging.assert_equal(
                    tf.size(weights), number, message=f"{name} has another number of weights than there are values."
                ),
                tf.debugging.Assert(
                    tf.reduce_all(tf.math.is_finite(weights) & (weights >= 0)),
                    [f"{name} has a weight that is negative or not finite."],
                ),
            ]
        ):
            return tf.identity(weights)

    def lists(self, column: ColumnInputs, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return the values of a multi-hot column as given, the row of each, int64 [N], and its weight, float32 [N]."""
        assert column.lengths is not None  # of a multi-hot field
        values, lengths = self._inputs[column.value], self.one_a_row(column.lengths, rows)
        weights = tf.ones_like(values, tf.float32)
        if column.weights is not None:
            weights = self.weights(column.weights, tf.size(values))
        message = f"{column.lengths} does not add up to the number of values of {column.value}."
        with tf.control_dependencies(
            [
                tf.debugging.assert_equal(tf.reduce_sum(lengths), tf.size(values, out_type=tf.int64), message=message),
                tf.debugging.assert_non_negative(lengths, message=f"{column.lengths} has a negative length."),
            ]
        ):
            row = tf.repeat(tf.range(rows), lengths)
        return values, row, weights
