"""Which columns of a row each network sees, and which are the linear term's."""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True, kw_only=True)
class RowColumns:
    """The columns of rows, the same for all tables.

    With two heads, rows that all networks share, and rows with a slice for each head (l: linear term)::

        shared    [ l0 l1 | all networks            ]
        sliced    [ l0 | network 0 | l1 | network 1 ]
    """

    heads: int
    """Outputs of the model"""
    slices: int
    """1, or one a head"""
    linear: bool
    """Whether there is a linear term, with a column a head"""

    @property
    def linear_columns(self) -> int:
        """Columns of the linear term in a slice."""
        return 0 if not self.linear else self.heads if self.slices == 1 else 1

    def split(self, values: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the linear term's columns, and what the networks of each slice see.

        Args:
            values: float32 [n, F, D] with F and D known

        Returns:
            float32 [n, F, H], or [n, F, 0] without a linear term; float32 [n, F · rest] of each slice.
        """
        fields, dim = values.shape[1], values.shape[2] // self.slices
        number, used = tf.shape(values)[0], self.linear_columns
        if self.slices > 1:
            values = tf.reshape(values, [number, fields, self.slices, dim])
        # Split, not sliced: the gradient is then one concatenation, and not a slow write into zeros for each part
        linear, rest = tf.split(values, [used, dim - used], axis=-1) if used else (values[..., :0], values)
        if self.slices == 1:
            return linear, [tf.reshape(rest, [number, fields * (dim - used)])]
        parts = [tf.reshape(part, [number, fields * (dim - used)]) for part in tf.unstack(rest, axis=2)]
        return tf.reshape(linear, [number, fields, self.slices * used]), parts

    def seen(self, rows: tf.Tensor) -> list[tf.Tensor]:
        """Return what the networks of each slice see of rows float32 [n, D]: float32 [n, rest]."""
        return self.split(rows[:, tf.newaxis])[1] if self.slices > 1 or self.linear else [rows]
