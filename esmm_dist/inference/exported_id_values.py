"""The ids of a log in the Ali-CCP form as inputs of an exported model: the log has ids already."""

from collections.abc import Mapping

import tensorflow as tf

from esmm_dist.inference.exported_inputs import FieldValues, RequestInputs
from esmm_dist.schema.fields import Field
from esmm_dist.schema.value_inputs import ColumnInputs

NO_ID = -1
"""What an impression without a value has in a one-hot field, as ids are 0 or more; records have an empty list."""


class IdReader:
    """Reads the ids of one request."""

    def __init__(self, columns: Mapping[str, ColumnInputs], inputs: RequestInputs) -> None:
        """Take the inputs.

        Args:
            columns: inputs of each field
            inputs: what was asked
        """
        self._columns, self._inputs = columns, inputs

    def values(self, field: Field, rows: tf.Tensor) -> FieldValues:
        """Return the ids of a field, by rows ascending; ``rows`` is the number of groups, or of impressions."""
        column = self._columns[field.name]
        if field.multi_hot:
            ids, row, weights = self._inputs.lists(column, rows)
        else:
            ids, row = self._inputs.one_a_row(column.value, rows), tf.range(rows)
            weights = tf.ones_like(ids, tf.float32)
            if column.weights is not None:
                weights = self._inputs.weights(column.weights, tf.size(ids))
        message = f"{column.value} has a number below {NO_ID}: ids are 0 to 2^63 - 1, and {NO_ID} is a missing value."
        with tf.control_dependencies([tf.debugging.assert_greater_equal(ids, tf.constant(NO_ID, tf.int64), message)]):
            present = ids != NO_ID
        return FieldValues(row=row, ids=ids, weights=weights, present=present)
