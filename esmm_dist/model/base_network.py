"""The BASE network: what turns the pooled vectors of an impression into one logit. Plug-ins subclass it."""

from typing import NamedTuple

import keras
import tensorflow as tf

from esmm_dist.model.config import ModelConfig


class PooledFields(NamedTuple):
    """Pooled vectors of a grouped batch, each field's D columns after the other's."""

    user: tf.Tensor
    """float32 [G, P_u]: once a user context"""
    impression: tf.Tensor
    """float32 [B, P_i]"""
    group_of_impression: tf.Tensor
    """int64 [B]: row of ``user`` that belongs to each impression"""


class BaseNetwork(keras.layers.Layer):
    """A tower.

    Subclasses make their variables, or Keras layers, in ``__init__`` and define ``call``::

        def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:

    It returns logits float32 [B]. ``dropout_seed`` int32 [2] is another one each step and tower, None outside training.
    B and G may be 0. Products by ``self.matmul`` follow the setting mixed_precision; Keras layers do not.

    Keras layers that drop out or add noise need no seed: their generators follow ``dropout_seed``. Initialisers, by
    name or as objects made in ``__init__``, need none either: what they draw follows from the run's seed. Layers whose
    call changes variables (BatchNormalization) are refused. README.md of ``esmm_dist`` has an example.
    """

    mixed_precision = False
    """Set by the model once the tower is made."""

    def __init__(self, user_columns: int, impression_columns: int, config: ModelConfig, *, seed: int) -> None:
        """Remember the shapes.

        Args:
            user_columns: P_u.
            impression_columns: P_i.
            config: Widths and dropout.
            seed: For start values; towers of one model get different seeds.
        """
        super().__init__()
        self.user_columns, self.impression_columns = user_columns, impression_columns
        self.config, self.seed = config, seed

    def matmul(self, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        """Return the product float32 of two matrices float32, computed from bfloat16 if mixed precision is on."""
        if not self.mixed_precision:
            return tf.matmul(a, b)
        return tf.cast(tf.matmul(tf.cast(a, tf.bfloat16), tf.cast(b, tf.bfloat16)), tf.float32)
